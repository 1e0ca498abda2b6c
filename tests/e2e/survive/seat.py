"""A person at a desktop."""

import os
import re
import subprocess
import time

from farm import Client, Failed, Screen, say, wait_for
from survive.processes import PROC

PASSWORD = "correct horse 7"
STARTUP = """#!/bin/sh
[ ! -x /etc/X11/icewm/startup ] || /etc/X11/icewm/startup
exec xterm -geometry 60x12+40+40 -e sh -c 'echo $$ >~/terminal.pid; exec cat >~/typed.txt'
"""


class Seat:
    """An account, a desktop, a screen, and a client that comes back by itself."""

    def __init__(self, farm, number, persistent=False):
        self.farm, self.node = farm, farm.node
        self.name = f"seat{number}"
        self.persistent = persistent
        self.screen = Screen(91 + number, "700x520")
        self.client = None
        self.node.panal("user", "add", self.name, "--password-file", "/dev/stdin",
                        stdin=PASSWORD + "\n")
        self.node.panal("desktop", "create", self.name, "--user", self.name, "--image", farm.image,
                        *(["--persistent"] if persistent else []))
        self.id = self.facts()["id"]

    def facts(self):
        return self.node.desktop(self.name)

    def pid(self):
        return self.facts()["pid"]

    def plant(self):
        home = self.node.home(self.name)
        owner = home.stat().st_uid
        path = home / ".icewm/startup"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STARTUP)
        path.chmod(0o755)
        for entry in (path, path.parent):
            os.chown(entry, owner, owner)

    # --- what runs in the desktop -----------------------------------------------------------------

    def terminal_file(self):
        return self.node.home(self.name) / "terminal.pid"

    def terminal(self):
        """The terminal's process as the desktop sees it, if it lives."""
        inside = self.terminal_file().read_text().strip()
        if not (PROC / str(self.pid()) / "root/proc" / inside / "stat").exists():
            raise Failed(f"{self.name}: its terminal is gone")
        return inside

    def run_inside(self, *command):
        return subprocess.run(
            ["nsenter", "--target", str(self.pid()), "--user", "--mount", "--root", *command],
            capture_output=True, text=True, check=True).stdout

    # --- the session ------------------------------------------------------------------------------

    def session(self, *states):
        return lambda: self.facts()["session"] in states

    def suspensions(self):
        """How often its agent has told that the session is suspended. Its log has each; the store
        takes a suspend and a resume within a quarter of a second for one change."""
        logs = (self.node.state / f"desktops/d{self.id}/log").glob("console*")
        return sum(len(re.findall(r"event=session state=suspended\b",
                                  log.read_text(errors="replace"))) for log in logs)

    def ensure_client(self):
        if self.client is not None:
            code = self.client.process.poll()
            if code is None:
                return
            words = (self.client.output().strip().splitlines() or ["nothing"])[-1]
            if not self.client.closed:
                say(f"note: {self.name}'s client ended by itself with {code}: {words}")
        self.client = Client(self.node, self.screen, self.name, PASSWORD, self.name,
                             "--geometry", "640x460", "--retry", "30")
        self.client.closed = False

    def leave(self, how):
        """The client goes, by a kill or in good order."""
        self.client.closed = True
        how(self.client)

    def connect(self, seconds=120):
        """A client that gets in, like a person who tries again when one has ended."""
        def probe():
            self.ensure_client()
            return self.session("connected")() and self.screen.window()

        try:
            wait_for(f"{self.name}'s session and window", probe, seconds, 0.3)
        except Failed as error:
            raise Failed(f"{error}; its client said: {self.client.output()}") from None

    def type(self, word, seconds=60):
        """Types a word and sees it arrive; a window that is just being painted may miss some."""
        typed = self.node.home(self.name) / "typed.txt"

        def probe():
            window = self.screen.window()
            if window is None:
                return False
            self.screen.click(window[1] + 150, window[2] + 110)
            self.screen.type_line(word)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                if word in typed.read_text().lower():
                    return True
                time.sleep(0.1)
            return False

        try:
            wait_for(f"{word!r} in {self.name}'s terminal", probe, seconds)
        except Failed as error:
            raise Failed(f"{error}\n{self.name}: {self.facts()}\nits client: "
                         f"{self.client.output()}") from None

    def close(self):
        if self.client is not None:
            self.client.close()
        self.screen.close()


class Return:
    """What must come of a lost link: the session was suspended, and the client that was there,
    no other, is connected again by itself. Made before the link is lost."""

    def __init__(self, seats):
        self.before = [(seat, seat.client, seat.suspensions(), self.links(seat)) for seat in seats]

    @staticmethod
    def links(seat):
        return seat.client.output().count("connected to ")

    def wait(self, seconds=120):
        for seat, client, suspensions, links in self.before:
            def probe(seat=seat, client=client, suspensions=suspensions, links=links):
                if client.process.poll() is not None:
                    raise Failed(f"it ended with {client.process.returncode}")
                return (seat.suspensions() > suspensions and self.links(seat) > links and
                        seat.session("connected")() and seat.screen.window())

            try:
                wait_for("a suspended session and the same client in it", probe, seconds, 0.3)
            except Failed as error:
                raise Failed(
                    f"{seat.name}'s client: {error}; suspended {seat.suspensions() - suspensions} "
                    f"times; the client said: {client.output()}") from None
            if seat.client is not client:
                raise Failed(f"{seat.name} has another client")
