"""A link that is cut while its session is being resumed: the session and its programs live on.

usage: cut_links.py [--cuts N] [--seed N] [--within MS] [--image IMAGE]

One desktop. Again and again a client connects and is cut off at a random moment after the broker's
101: by a kill of the client or of the broker's workers. Each time the same programs must be there.
"""

import argparse
import os
import random
import signal
import sys
import time

from farm import Client, Failed, Node, Screen, conduct, say, wait_for
from first_desktop import plant_startup, session_is, terminal_alive, wait_connected

LOGIN, PASSWORD, NAME = "alice", "correct horse 7", "alice-desk"
SIZES = ("640x460", "600x400")


def workers(node):
    """The broker's processes that carry links."""
    parent = (node.run_dir / "supervisor/broker.pid").read_text().split()[0]
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as children:
        return [int(pid) for pid in children.read().split()]


def cut(node, screen, who, delay, size):
    """Connects, and cuts `delay` seconds after the link was there."""
    client = None

    def linked():
        nonlocal client
        if client is not None and client.process.poll() not in (None, 2):
            raise Failed(f"panal-client ended with {client.process.returncode}: {client.output()}")
        # 2: workers that die one after the other are not started again at once.
        if client is None or client.process.poll() == 2:
            client = Client(node, screen, LOGIN, PASSWORD, NAME, "--geometry", size)
        return "connected to" in client.output()

    wait_for("the link", linked, 120, 0.002)
    time.sleep(delay)
    if client.process.poll() is not None:
        raise Failed(f"panal-client was sent away, {client.process.returncode}: {client.output()}")
    if who == "client":
        client.kill()
    else:
        for pid in workers(node):
            os.kill(pid, signal.SIGKILL)
        client.process.wait(timeout=30)


def stay(node, screen, terminal):
    """Somebody comes back for longer: it is the same session, and can still be resumed."""
    client = Client(node, screen, LOGIN, PASSWORD, NAME, "--geometry", SIZES[0], "--retry", "10")
    wait_connected(node, NAME, client, 60)
    try:
        wait_for("the desktop's window", screen.window, 30)
    except Failed:
        tree = screen.run("xwininfo", "-root", "-tree").stdout
        say(f"the screen has: {tree}\npanal-client said: {client.output()}")
        # On a starved machine openbox lets go of nxagent's window now and then (docs/agent.md).
        if f'"{NAME}": ("NXAgent"' not in tree:
            raise
    if (node.home(LOGIN) / "terminal.pid").read_text() != terminal:
        raise Failed("another terminal was started")
    client.close()
    wait_for("a suspended session", session_is(node, NAME, "suspended"), 60)


def run(node, screen, options):
    rng = random.Random(options.seed)
    say(f"{options.cuts} cuts within {options.within} ms, seed {options.seed}")
    node.panal("up")
    node.panal("image", "build", options.image)
    node.panal("user", "add", LOGIN, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
    node.panal("desktop", "create", NAME, "--user", LOGIN, "--image", options.image)
    node.panal("desktop", "start", NAME)
    node.panal("desktop", "stop", NAME)
    plant_startup(node, LOGIN)
    node.panal("desktop", "start", NAME)
    wait_for("the end of the pre-warm", session_is(node, NAME, "suspended"), 90)
    # The window manager's windows alone can pass for a settled session.
    pid = wait_for("the terminal", (node.home(LOGIN) / "terminal.pid").read_text, 60)
    for number in range(options.cuts):
        who = "broker worker" if number % 8 == 7 else "client"
        delay = rng.uniform(0, options.within / 1000)
        began = time.monotonic()
        # Every other time at another size: that is more work for nxagent.
        cut(node, screen, who, delay, SIZES[number // 2 % 2])
        try:
            # nxagent waits 60 s for a client that was cut off before its greeting.
            wait_for("a suspended session", session_is(node, NAME, "suspended"), 90)
            if not terminal_alive(node, NAME, LOGIN):
                raise Failed("the terminal has ended")
        except Failed as error:
            raise Failed(f"cut {number + 1}: {who} killed {delay * 1000:.0f} ms after the link was "
                         f"there: {error}") from None
        say(f"cut {number + 1}: {who} after {delay * 1000:.0f} ms: suspended and alive, "
            f"{time.monotonic() - began:.1f} s")
        if number % 5 == 4 or number == options.cuts - 1:
            stay(node, screen, pid)
    node.panal("desktop", "stop", NAME)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="icewm")
    parser.add_argument("--cuts", type=int, default=12)
    parser.add_argument("--within", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    options = parser.parse_args()
    node = Node()
    screen = Screen()
    return conduct("cut_links", node, lambda: run(node, screen, options),
                   after_down=[screen.close])


if __name__ == "__main__":
    sys.exit(main())
