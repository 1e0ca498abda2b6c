"""From nothing to a live desktop and back, as its users see it (see farm.py).

usage: first_desktop.py IMAGE [--pictures DIR]
"""

import argparse
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

from farm import Client, Failed, Node, Screen, conduct, say, wait_for

METRICS = "127.0.0.1:19464"

# What the session starts beside the image's own programs: one terminal that keeps what is typed.
TYPED = "typed.txt"
# A directory of the root that is the user's and that no profile puts into memory.
MARKER = "usr/share/X11/xkb/compiled/marker"
# It stands in for the image's own start-up file, so it runs that first.
STARTUP = f"""#!/bin/sh
[ ! -x /etc/X11/icewm/startup ] || /etc/X11/icewm/startup
echo volatile >/{MARKER}
exec xterm -geometry 60x12+40+40 -e sh -c 'echo $$ >~/terminal.pid; exec cat >~/{TYPED}'
"""
AUTOSTART = """[Desktop Entry]
Type=Application
Name=Typed
Exec=/bin/sh /home/alice/.icewm/startup
"""


def plant_startup(node, login):
    """Puts a start-up program into the user's home, as the user would have."""
    home = node.home(login)
    uid = gid = home.stat().st_uid
    for name, text, mode in (
        (".icewm/startup", STARTUP, 0o755),
        (".config/autostart/typed.desktop", AUTOSTART, 0o644),
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        for entry in (path, *path.relative_to(home).parents):
            os.chown(home / entry, uid, gid)


def init_root(node, name):
    """The desktop's root directory as the kernel shows it."""
    return pathlib.Path(f"/proc/{node.desktop(name)['pid']}/root")


def session_is(node, name, state):
    return lambda: node.desktop(name)["session"] == state


def wait_connected(node, name, client, seconds):
    def probe():
        if client.process.poll() is not None:
            raise Failed(f"panal-client ended with {client.process.returncode}")
        return session_is(node, name, "connected")()

    try:
        wait_for("a connected session", probe, seconds)
    except Failed:
        say("panal-client said:\n" + client.output())
        raise


def terminal_alive(node, name, login):
    inside = (node.home(login) / "terminal.pid").read_text().strip()
    return (init_root(node, name) / "proc" / inside / "stat").exists()


def life(node, screen, image, pictures, second=("--no-cookie",)):
    login, password, name = "alice", "correct horse 7", "alice-desk"

    say("panal up; user; desktop")
    with node.config.open("a") as config:
        config.write(f'[metrics]\nlisten = "{METRICS}"\n')
    node.panal("up")
    node.panal("image", "build", image)
    node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=password + "\n")
    node.panal("desktop", "create", name, "--user", login, "--image", image)

    # A first start makes the home; then it gets its start-up programs.
    node.panal("desktop", "start", name)
    node.panal("desktop", "stop", name)
    plant_startup(node, login)

    say("the client lists and connects")
    client = Client(node, screen, login, password, name, "--geometry", "1000x700")
    wait_connected(node, name, client, 120)
    shape = screen.wait_painted(pictures / f"{image}.png", 30)
    say(f"desktop window {shape[3]}x{shape[4]} at {shape[1]},{shape[2]}")
    if abs(shape[3] - 1000) > 40 or abs(shape[4] - 700) > 60:
        raise Failed(f"asked for 1000x700, the window is {shape[3]}x{shape[4]}")

    say("keys typed arrive in the terminal")
    wait_for("the terminal", lambda: (node.home(login) / "terminal.pid").exists(), 60)
    screen.click(shape[1] + 150, shape[2] + 110)
    screen.type_line("hello panal 42")
    typed = node.home(login) / TYPED
    wait_for("the typed line", lambda: "hello panal 42" in typed.read_text().lower(), 30)
    if typed.read_text() != "hello panal 42\n":
        say(f"note: it came as {typed.read_text()!r}")
    pid = (node.home(login) / "terminal.pid").read_text()
    screen.shot(pictures / f"{image}.png")

    say("the client is killed: suspended, programs alive")
    client.kill()
    wait_for("a suspended session", session_is(node, name, "suspended"), 30)
    if not terminal_alive(node, name, login):
        raise Failed("the terminal did not survive the lost link")

    say("a second client, whose greeting has no cookie, at another size: the same programs")
    client = Client(node, screen, login, password, name, "--geometry", "800x600", *second)
    wait_connected(node, name, client, 60)
    shape = screen.wait_painted(pictures / f"{image}-again.png", 30)
    if abs(shape[3] - 800) > 40 or abs(shape[4] - 600) > 60:
        raise Failed(f"asked for 800x600, the window is {shape[3]}x{shape[4]}")
    if not terminal_alive(node, name, login):
        raise Failed("the terminal died on reconnect")
    screen.click(shape[1] + 150, shape[2] + 110)
    screen.type_line("again")
    wait_for("the second line", lambda: "again" in typed.read_text().lower(), 30)
    if (node.home(login) / "terminal.pid").read_text() != pid:
        raise Failed("another terminal was started")

    say("stop: gone, volatile data gone, home kept")
    if not (init_root(node, name) / MARKER).exists():
        raise Failed("the marker was never written")
    node.panal("desktop", "stop", name)
    if node.desktop(name)["state"] != "stopped":
        raise Failed(f"after stop: {node.desktop(name)}")
    client.process.wait(timeout=30)
    if "again" not in typed.read_text().lower():
        raise Failed("the home lost data at stop")
    (node.home(login) / ".icewm/startup").unlink()
    (node.home(login) / ".config/autostart/typed.desktop").unlink()
    node.panal("desktop", "start", name)
    if (init_root(node, name) / MARKER).exists():
        raise Failed("volatile data survived the stop")

    node.panal("desktop", "stop", name)
    warm(node, screen, image, pictures, (login, password, name))

    counted(node)

    say("wrong password")
    wrong = Client(node, screen, login, "wrong", name)
    if wrong.process.wait(timeout=60) != 4:
        raise Failed(f"a wrong password ended with {wrong.process.returncode}: {wrong.output()}")


def warm(node, screen, image, pictures, account):
    """A desktop whose programs are up before the user comes, opened in ways they did not expect."""
    login, password, name = account
    typed = node.home(login) / TYPED
    for path in (typed, node.home(login) / "terminal.pid"):
        path.unlink()
    plant_startup(node, login)
    say("pre-warm: programs are up, nobody has come")
    node.panal("desktop", "start", name)
    wait_for("the pre-warmed terminal", lambda: (node.home(login) / "terminal.pid").exists(), 60)
    wait_for("the end of the pre-warm", session_is(node, name, "suspended"), 60)
    pid = (node.home(login) / "terminal.pid").read_text()

    say("opened with another geometry and a Spanish keyboard")
    client = Client(node, screen, login, password, name, "--geometry", "1100x640",
                    "--keyboard", "pc105/es")
    wait_connected(node, name, client, 60)
    shape = screen.wait_painted(pictures / f"{image}-warm.png", 30)
    if abs(shape[3] - 1100) > 40 or abs(shape[4] - 640) > 60:
        raise Failed(f"asked for 1100x640, the window is {shape[3]}x{shape[4]}")

    def enye_arrives():
        screen.click(shape[1] + 150, shape[2] + 110)
        screen.run("xdotool", "windowactivate", "--sync", shape[0])
        # The key right of L: a semicolon on this screen's American keyboard, an enye on the
        # Spanish. A window that is just being painted may miss it.
        screen.run("xdotool", "key", "47")
        screen.run("xdotool", "key", "Return")
        time.sleep(1)
        return "\u00f1\n" in typed.read_text()

    try:
        wait_for("an enye", enye_arrives, 30)
    except Failed as error:
        raise Failed(f"{error}; typed so far: {typed.read_text()!r}") from None
    if ";" in typed.read_text():
        raise Failed(f"the keyboard came late: {typed.read_text()!r}")
    screen.shot(pictures / f"{image}-warm.png")
    client.close()

    say("and full screen")
    wait_for("a suspended session", session_is(node, name, "suspended"), 30)
    client = Client(node, screen, login, password, name, "--fullscreen")
    wait_connected(node, name, client, 60)
    shape = screen.wait_painted(pictures / f"{image}-full.png", 30)
    if shape[3:] != (1280, 800):
        raise Failed(f"asked for full screen, the window is {shape[3]}x{shape[4]}")
    if (node.home(login) / "terminal.pid").read_text() != pid:
        raise Failed("another terminal was started")
    client.close()


def counted(node):
    """What was done with the one desktop, as the command tells it and as a scraper gets it."""
    say("metrics: by panal metrics, and by HTTP")
    with urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=10) as answer:
        scraped = answer.read().decode()
    for text in (node.panal("metrics").stdout, scraped):
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        for sample, least in (
            ("panal_starts_let_through_total", 3),
            ('panal_starts_ended_total{result="running"}', 3),
            ('panal_node_desktops{state="running"}', 1),
            ('panal_node_tenant_desktops{tenant="default"}', 1),
            ("panal_wake_at_once_total", 2),
            ("panal_memory_available_bytes", 1),
        ):
            if float(values.get(sample, -1)) < least:
                raise Failed(f"{sample} is {values.get(sample)}, not {least} or more")
    try:
        urllib.request.urlopen(f"http://{METRICS}/qvd/ping", timeout=10)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise Failed(f"{METRICS} answers {error.code} to another path") from None
    else:
        raise Failed(f"{METRICS} serves more than metrics")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("--pictures", type=pathlib.Path, default=pathlib.Path("."))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    node = Node()
    screen = Screen()
    failed = options.pictures / f"{options.image}-end.png"
    return conduct(options.image, node,
                   lambda: life(node, screen, options.image, options.pictures),
                   before_down=[lambda: screen.shot(failed)], after_down=[screen.close])


if __name__ == "__main__":
    sys.exit(main())
