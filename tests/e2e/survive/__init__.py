"""The parts of survival.py: people at their desktops, who is killed, and what may be left."""
