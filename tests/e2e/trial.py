"""Versions are tried before they are published, and desktops that run are brought to what was published.

The versions have the cached image's tree and a session of their own each: one starts, one has a
program that does not exist, one shows nothing.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from bad_input import sentence, sql
from farm import BIN, CACHE, Client, Failed, Node, Screen, conduct, say, wait_for
from first_desktop import plant_startup, wait_connected

PASSWORD = "correct horse 7"
TRIAL = "d2000000000"  # the throw-away desktop's name in the kernel (runtime/node/live_trial.h)
PICTURES = pathlib.Path(os.environ.get("PANAL_PICTURES", BIN.parents[1] / "pictures"))


def check(condition, what):
    if not condition:
        raise Failed(what)


class Images:
    """A store of images in which versions are one tree under several manifests."""

    def __init__(self, node):
        self.node, self.directory = node, node.directory / "images"
        (self.directory / "icewm").mkdir(parents=True)
        self.directory.chmod(0o700)
        text = node.config.read_text()
        node.config.write_text(text.replace(f"{CACHE}/images", str(self.directory)))
        self.source = max((CACHE / "images/icewm").iterdir())

    def add(self, version, session=None):
        manifest = json.loads((self.source / "manifest.json").read_text())
        manifest["version"] = version
        manifest["created_unix_s"] += int(version)
        # Each is a commit of its own: nothing here looks into the repository.
        manifest["commit"] = version[-1] * 64
        if session:
            manifest["session"] = session
        new = self.directory / "icewm" / version
        new.mkdir()
        (new / "manifest.json").write_text(json.dumps(manifest))
        (new / "root").symlink_to(self.source / "root")
        return self.node.panal("image", "agree", "--register").stdout

    def picture(self, version):
        return self.directory / "icewm" / version / "trial.png"

    def default(self):
        return next(v["version"] for v in self.node.json("image", "ls") if v["default"])


def traces(node):
    parent = os.environ["PANAL_LAB_CGROUP"] + "/panal"
    places = [node.run_dir / "desktops" / TRIAL, node.state / "desktops" / TRIAL,
              *pathlib.Path("/sys/fs/cgroup").glob(f"*/{parent}*/{TRIAL}"),
              *pathlib.Path("/sys/fs/cgroup").glob(f"{parent}*/{TRIAL}")]
    return [str(place) for place in places if place.exists()]


def colours(picture):
    done = subprocess.run(["identify", "-format", "%k %wx%h", str(picture)], capture_output=True,
                          text=True, check=True)
    count, size = done.stdout.split()
    check(size == "1280x800", f"{picture} is {size}")
    return int(count)


def tried(node, images):
    say("an image's first version becomes the default after a trial start")
    began = time.monotonic()
    said = images.add("1")
    say(f"  {time.monotonic() - began:.1f} s: {said.strip()}")
    check("is the default for new starts" in said, "it is not the default")
    check(colours(images.picture("1")) > 20, "nothing is to be seen in its picture")
    PICTURES.mkdir(parents=True, exist_ok=True)
    shutil.copy(images.picture("1"), PICTURES / "trial-icewm.png")
    check(traces(node) == [], f"left: {traces(node)}")
    check(node.json("desktop", "ls") == [], "it counts as somebody's desktop")
    shown = node.json("image", "show", "icewm:1")["trial"]
    check(shown["good"] and shown["picture"] == str(images.picture("1")), f"shown: {shown}")


def refused(node, images):
    say("a version whose session does not exist is refused, and says why")
    images.add("2", ["/usr/bin/no-such-session"])
    check(images.default() == "1", "nobody has published it")
    dry = node.panal("image", "publish", "icewm:2", "--dry-run").stdout
    check("a trial start would come first" in dry, f"--dry-run: {dry}")
    sentence(node.panal("image", "publish", "icewm:2", check=False), 5, "icewm:2", "no-such-session",
             "--force")
    check(images.default() == "1", "it was published all the same")
    check(traces(node) == [], f"left: {traces(node)}")
    sentence(node.panal("image", "trial", "icewm:2", check=False), 1, "no-such-session")

    say("and one whose session shows nothing")
    images.add("3", ["/bin/sleep", "1000"])
    sentence(node.panal("image", "publish", "icewm:3", check=False), 5, "icewm:3")
    shutil.copy(images.picture("3"), PICTURES / "trial-nothing.png")
    say(f"  its picture has {colours(images.picture('3'))} colours")
    check(traces(node) == [], f"left: {traces(node)}")

    say("--force publishes it, and the audit log tells")
    node.panal("image", "publish", "icewm:2", "--force")
    check(images.default() == "2", "it was not published")
    row = sql(node, "SELECT actor, detail FROM audit_log WHERE action = 'image.publish'"
                    " ORDER BY id DESC LIMIT 1")
    say(f"  {row}")
    check("forced: its trial start failed" in row, f"audited: {row}")
    node.panal("image", "rollback", "icewm")
    check(images.default() == "1", "rollback did not go back")


def killed(node, images):
    say("panald is killed in the middle of a trial")
    before = node.desktop("desk-a")["pid"]
    panald = int((node.run_dir / "supervisor/panald.pid").read_text().split()[0])
    with subprocess.Popen([str(BIN / "panal"), "--config", str(node.config), "image", "trial",
                           "icewm:3"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as trial:
        wait_for("the trial's desktop", lambda: len(traces(node)) >= 4, 60, 0.05)
        os.kill(panald, signal.SIGKILL)
        said, _ = trial.communicate(timeout=120)
    say(f"  exit {trial.returncode}: {said.strip().splitlines()[-1]}")
    check(trial.returncode != 0, "a trial that was never over is no success")
    wait_for("a panald that has removed it", lambda: traces(node) == [], 60)
    wait_for("the desktop that runs", lambda: node.desktop("desk-a")["pid"] == before, 60)


def published(node, screen, images):
    say("one user works, another's desktop only runs")
    for login, name in (("alice", "desk-a"), ("bob", "desk-b")):
        node.panal("user", "add", login, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
        node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
        node.panal("desktop", "start", name)
    node.panal("desktop", "stop", "desk-a")
    plant_startup(node, "alice")
    node.panal("desktop", "start", "desk-a")
    client = Client(node, screen, "alice", PASSWORD, "desk-a", "--geometry", "900x600")
    wait_connected(node, "desk-a", client, 120)
    killed(node, images)

    say("publish --soft: bob's is started again when nobody has been there for a minute")
    images.add("4")
    out = node.panal("image", "publish", "icewm:4", "--soft", "1s").stdout
    say("  " + out.strip().replace("\n", "\n  "))
    check("desk-a" in out and "desk-b" in out, "it does not say who is affected")
    check(images.default() == "4", "it was not published")

    def runs(name):
        return node.desktop(name).get("running_version")

    wait_for("bob's desktop on version 4", lambda: runs("desk-b") == "4", 180, 2)
    check(runs("desk-a") == "1", "alice was thrown out by a soft deadline")
    check(client.process.poll() is None, "alice's client ended")

    say("publish --hard: alice's as well, and she comes back to the new version")
    node.panal("image", "publish", "icewm:4", "--hard", "1s")
    wait_for("alice's desktop on version 4", lambda: runs("desk-a") == "4", 120, 2)
    client.process.wait(timeout=60)
    client = Client(node, screen, "alice", PASSWORD, "desk-a", "--geometry", "900x600")
    wait_connected(node, "desk-a", client, 120)
    client.close()


def life(node, screen, images):
    say("panal up")
    node.panal("up")
    tried(node, images)
    refused(node, images)
    published(node, screen, images)


def main():
    node = Node()
    images = Images(node)
    screen = Screen()
    return conduct("trial", node, lambda: life(node, screen, images), after_down=[screen.close])


if __name__ == "__main__":
    sys.exit(main())
