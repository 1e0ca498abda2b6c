"""A hostile user's desktop and a bystander's on one node: what several scenarios do with them."""

import os
import pathlib
import re
import shutil
import socket
import threading

from farm import BIN, Client, Failed, say, wait_for
from first_desktop import plant_startup, wait_connected

PASSWORD = "correct horse 7"
MEMORY_MIB = 320
PIDS = 200
CONTROL_BYTES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")

SERVE = """#!/bin/sh
mkdir -p ~/box
chmod 755 ~/attack
exec ~/attack serve ~/box
"""


def check(condition, what):
    if not condition:
        raise Failed(what)


def strings(value):
    """Every text in what a JSON answer holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from strings(held)
    elif isinstance(value, list):
        for held in value:
            yield from strings(held)


class Hostile:
    """Runs words inside mallory's desktop, through files in the home."""

    def __init__(self, node, login):
        self.home = node.home(login)
        self.box = self.home / "box"
        self.count = 0

    def plant(self, beside=False):
        """`beside`: what the start-up file did before it goes on doing."""
        uid = self.home.stat().st_uid
        shutil.copyfile(BIN / "hostile-attack", self.home / "attack")
        startup = self.home / ".icewm" / "startup"
        startup.parent.mkdir(exist_ok=True)
        startup.write_text(
            startup.read_text().replace("exec xterm", f"({SERVE}) &\nexec xterm") if beside else SERVE)
        self.box.mkdir(exist_ok=True)
        for path in (self.home / "attack", startup, startup.parent, self.box):
            path.chmod(0o755)
            os.chown(path, uid, uid)

    def begin(self, text):
        self.count += 1
        name = self.box / f"job{self.count}"
        part = name.with_suffix(".part")
        part.write_text(text)
        part.rename(name.with_suffix(".job"))
        return name

    def end(self, name, seconds=90):
        wait_for(f"the end of {name.name}", name.with_suffix(".rc").exists, seconds)
        return name.with_suffix(".out").read_text(errors="replace")

    def run(self, text, seconds=90):
        return self.end(self.begin(text), seconds)

    def values(self, text):
        return {k: int(v) for k, v in re.findall(r"^(\w+) (-?\d+)$", text, re.M)}

    def held(self, text, check_meanwhile):
        """Starts what takes all of something; looks around while it holds; lets go."""
        release = self.box / "release"
        release.unlink(missing_ok=True)
        name = self.begin(text)
        wait_for(
            f"{text} to be refused", lambda: "errno " in name.with_suffix(".out").read_text(), 90
        )
        values = self.values(name.with_suffix(".out").read_text())
        check_meanwhile()
        release.touch()
        self.end(name)
        return values


class Bystander:
    """Somebody who works beside it, seen through pixels and keys."""

    def __init__(self, node, screen, login, name):
        self.node, self.screen, self.login, self.name = node, screen, login, name
        self.typed = node.home(login) / "typed.txt"
        self.count = 0

    def connect(self, picture):
        self.client = Client(self.node, self.screen, self.login, PASSWORD, self.name,
                             "--geometry", "900x600")
        wait_connected(self.node, self.name, self.client, 120)
        shape = self.screen.wait_painted(picture, 20)
        wait_for("the terminal", (self.node.home(self.login) / "terminal.pid").exists, 60)
        self.screen.click(shape[1] + 150, shape[2] + 110)

    def works(self):
        self.count += 1
        word = f"line {self.count}"
        self.screen.type_line(word)
        wait_for(f"\"{word}\" in the bystander's terminal",
                 lambda: word in self.typed.read_text(), 60)
        check(self.client.process.poll() is None, "the bystander's client ended")


class Decoy:
    """A socket of the host that everybody may connect to: nobody must be led there. A path, or
    "@NAME" for an abstract one."""

    def __init__(self, path):
        self.path, self.visitors = path, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path).replace("@", "\0"))
        if isinstance(path, pathlib.Path):
            path.chmod(0o777)
        self.socket.listen()
        threading.Thread(target=self.count, daemon=True).start()

    def count(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.visitors += 1
            connection.close()

    def close(self):
        self.socket.close()
        if isinstance(self.path, pathlib.Path):
            self.path.unlink()


def daemons(node):
    """Pids of what keeps the node going."""
    return {
        path.name: int(path.read_text().split()[0])
        for path in (node.run_dir / "supervisor").glob("*.pid")
    }


def user_with_desktop(node, login, name):
    """The desktop has run once, so that the user has a home, and is stopped."""
    node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
    node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
    node.panal("desktop", "start", name)
    node.panal("desktop", "stop", name)


def two_users(node):
    """mallory with desktop evil, what attacks planted in the home, and zbystander with zdesk; both
    desktops are stopped."""
    say("panal up; two users; two desktops")
    node.panal("up")
    node.panal("image", "build", "icewm")
    for login, name in (("mallory", "evil"), ("zbystander", "zdesk")):
        user_with_desktop(node, login, name)
    mallory = Hostile(node, "mallory")
    mallory.plant()
    plant_startup(node, "zbystander")
    return mallory
