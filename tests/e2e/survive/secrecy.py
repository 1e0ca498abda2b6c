"""No secret can be read from a command line or an environment of any process."""

import base64
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse

from farm import Client, Failed, wait_for
from survive.processes import PROC
from survive.seat import PASSWORD

NX_OPTIONS = "run/panal-session/options"  # in the desktop, its user's alone


class Reader(threading.Thread):
    """Keeps all that any process of the lab shows in its argv and environ while it runs; most of
    those that carry secrets from here to there live for a moment."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = {}  # text: who
        self.stop = threading.Event()
        self.rounds = 0

    def look(self):
        for entry in PROC.glob("[0-9]*"):
            for file in ("cmdline", "environ"):
                try:
                    text = (entry / file).read_bytes()
                except OSError:
                    continue
                if text and text not in self.seen:
                    self.seen[text] = f"{file} of {entry.name} ({text[:60]!r})"
        self.rounds += 1

    def run(self):
        while not self.stop.is_set():
            self.look()
            time.sleep(0.01)

    def found(self, secrets):
        return [f"{what} in {who}" for what, secret in secrets.items()
                for text, who in self.seen.items() if secret in text]


def shapes(name, secret):
    """A secret as it may be written down."""
    data = secret.encode()
    return {name: data, f"{name}, quoted": urllib.parse.quote(secret).encode(),
            f"{name} in base64": base64.b64encode(data).rstrip(b"=")}


def cookie_of(seat):
    """Of the link that the session has now."""
    text = (PROC / str(seat.pid()) / "root" / NX_OPTIONS).read_text()
    return re.search(r"cookie=([0-9a-f]{32})", text)[1]


def no_secret_shown(farm, _):
    """No password and no cookie in any argv or environ, from a start to a connected client."""
    seat, first = farm.spare, farm.seats[0]
    login = f"{seat.name}:{PASSWORD}"
    secrets = {**shapes("the password", PASSWORD), **shapes("the login", login),
               **shapes("an NX cookie", cookie_of(first))}
    reader = Reader()
    reader.start()
    try:
        farm.node.panal("desktop", "start", seat.name)
        wait_for("a pre-warmed session", seat.session("suspended"), 90)
        secrets |= {f"{name} (pre-warm)": secret
                    for name, secret in shapes("an NX cookie", cookie_of(seat)).items()}
        seat.connect()
        secrets |= {f"{name} (client)": secret
                    for name, secret in shapes("an NX cookie", cookie_of(seat)).items()}
        farm.node.panal("user", "passwd", seat.name, "--password-file", "/dev/stdin",
                        stdin=PASSWORD + "\n")
    finally:
        reader.stop.set()
        reader.join()
    reader.look()
    names = {text.split(b"\0")[0].rsplit(b"/")[-1] for text in reader.seen}
    if missing := {b"panal-client", b"nxproxy", b"nxagent", b"panald", b"panal-prewarm"} - names:
        raise Failed(f"these were never seen: {missing}")
    if found := reader.found(secrets):
        raise Failed("\n  ".join(["secrets are shown:", *found]))
    finds_what_is_shown(secrets)
    seat.leave(Client.close)
    farm.node.panal("desktop", "stop", seat.name)
    return f"{len(reader.seen)} texts in {reader.rounds} looks"


def finds_what_is_shown(secrets):
    """Else it would find nothing of itself."""
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    for what, secret in secrets.items():
        for words, environment in ((wait + [secret.decode()], {}), (wait, {"X": secret.decode()})):
            with subprocess.Popen(words, env={**os.environ, **environment}) as process:
                reader = Reader()
                try:
                    wait_for(f"{what} to be seen", lambda reader=reader:
                             reader.look() or reader.found({what: secret}), 10, 0.01)
                finally:
                    process.kill()
