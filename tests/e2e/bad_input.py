"""Wrong input at a real node: each mistake gets one sentence and changes nothing.

What parsers and single parts answer is in the unit tests; docs/threat-model.md lists them. A clock
set back is in clock.py.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

from farm import BIN, CACHE, Failed, Node, conduct, say, wait_for
from wire import Wire, ask, basic, get

GREETING = 10  # seconds that a greeting may take
PASSWORDS = {"alice": "correct horse 7", "bob": "battery staple 8"}
UPGRADE = "Connection: Upgrade\r\nUpgrade: QVD/1.0\r\n"


def check(condition, what):
    if not condition:
        raise Failed(what)


def sentence(done, code, *words):
    """Exit code, one sentence, and what must be in it."""
    said = (done.stderr or done.stdout).strip()
    say(f"  exit {done.returncode}: {said}")
    check(done.returncode == code, f"exit {done.returncode} instead of {code}: {said}")
    check(said.count("\n") == 0 and len(said) < 400, f"not one sentence: {said}")
    for word in words:
        check(word in said, f'"{word}" is not in: {said}')


def sql(node, text):
    done = subprocess.run(
        ["psql", "-h", str(node.run_dir / "postgres"), "-U", "panal_admin", "-Atc", text, "panal"],
        capture_output=True, text=True, check=True,
    )
    return done.stdout.strip()


def before_there_is_a_node(node):
    say("not root")
    with subprocess.Popen(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(BIN / "panal"),
         "--config", str(node.config), "up"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:
        out, err = process.communicate(timeout=60)
    sentence(subprocess.CompletedProcess([], process.returncode, out, err), 6, "root", "sudo")

    say("port in use")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", node.port))
        stranger.listen()
        sentence(node.panal("up", check=False), 5, str(node.port), "in use", "[broker]")
    check(not node.run_dir.exists(), "a refused `panal up` made a run directory")

    say("configuration with an unknown key")
    text = node.config.read_text()
    node.config.write_text(text + "colour = 7\n")
    line = text.count("\n") + 1
    sentence(node.panal("up", check=False), 2, f"{node.config}:{line}", "colour")
    node.config.write_text(text)


def commands(node):
    say("recipe with an unknown key")
    recipe = node.directory / "odd.toml"
    recipe.write_text('name = "odd"\npackages = ["nxagent"]\nsession = ["x"]\ncolour = "red"\n')
    sentence(node.panal("image", "build", recipe, check=False), 1, f"{recipe}:4", "colour")

    say("a second panald on the same run directory, and on the same state directory")
    second = [str(BIN / "panald"), "--config"]
    done = subprocess.run([*second, str(node.config)], capture_output=True, text=True,
                          timeout=60, check=False)
    sentence(done, 1, "another panald", str(node.run_dir))
    other = node.directory / "other.toml"
    run_dir = node.directory / "run"
    other.write_text(node.config.read_text().replace(str(node.run_dir), str(run_dir)))
    done = subprocess.run([*second, str(other)], capture_output=True, text=True, timeout=60,
                          check=False)
    sentence(done, 1, "another panald", str(node.state))

    say("what does not exist")
    for words, code in (
        (("desktop", "start", "nothing"), 4),
        (("desktop", "create", "x", "--user", "nobody", "--image", "icewm"), 4),
        (("desktop", "create", "x", "--user", "alice", "--image", "nothing"), 4),
        (("user", "add", "alice", "--generate"), 5),
        (("user", "add", "carol", "--tenant", "nowhere", "--generate"), 4),
        (("tenant", "add", "default"), 5),
        (("tenant", "add", "No Name"), 2),
        (("tenant", "rm", "default"), 5),
        (("tenant", "rm", "nowhere"), 4),
    ):
        sentence(node.panal(*words, check=False), code)


def tenants(node):
    say("a tenant goes when nothing of it is left")
    node.panal("tenant", "add", "acme")
    node.panal("user", "add", "alice", "--tenant", "acme", "--password-file", "/dev/stdin",
               stdin=PASSWORDS["alice"] + "\n")
    home = node.home("alice", "acme")
    home.mkdir(parents=True)
    sentence(node.panal("tenant", "rm", "acme", check=False), 5, "1 user and 1 home", str(home.parent))
    node.panal("user", "rm", "alice", "--tenant", "acme")
    sentence(node.panal("tenant", "rm", "acme", check=False), 5, "still has 1 home")
    home.rmdir()
    node.panal("tenant", "rm", "acme")
    check([t["name"] for t in node.json("tenant", "ls")] == ["default"], "acme is there still")


def http(node, ids):
    say("logins")
    wrong = ask(node, get("/qvd/list_of_vm", basic("alice", "wrong")))
    unknown = ask(node, get("/qvd/list_of_vm", basic("nobody", "wrong")))
    check(wrong == unknown and wrong.startswith("HTTP/1.1 401 "), f"{wrong!r} and {unknown!r}")
    alice = basic("alice", PASSWORDS["alice"])
    check(ask(node, get("/qvd/list_of_vm", alice)).startswith("HTTP/1.1 200 "), "a good login")

    say("unknown and foreign desktops: the same words, and nothing is written")

    def written():
        return sql(node, "SELECT count(*) FROM audit_log") + sql(
            node, "SELECT desired, observed, generation, changed FROM desktops ORDER BY id")

    before = written()
    connect = "/qvd/connect_to_vm?id={}"
    foreign = ask(node, get(connect.format(ids["bobs"]), alice + UPGRADE))
    absent = ask(node, get(connect.format(999999), alice + UPGRADE))
    check(foreign == absent and foreign.startswith("HTTP/1.1 404 "), f"{foreign!r}, {absent!r}")
    check(ask(node, get(f"/qvd/stop_vm?id={ids['bobs']}", alice)).startswith("HTTP/1.1 404 "),
          "a foreign desktop's stop")
    for path, headers, status in (
        (connect.format(ids["alices"]), alice, 426),
        (connect.format("x"), alice + UPGRADE, 422),
        (connect.format("1%00"), alice + UPGRADE, 400),
        (connect.format(ids["alices"]) + "&qvd.client.geometry=9x9;reboot", alice + UPGRADE, 422),
        (connect.format(ids["alices"]) + "&nx.options=1", alice + UPGRADE, 403),
        (connect.format(ids["alices"]) + "&a=%zz", alice + UPGRADE, 400),
    ):
        answer = ask(node, get(path, headers))
        check(answer.startswith(f"HTTP/1.1 {status} "), f"{path}: {answer!r}")
        check(answer.split("\r\n\r\n")[-1].strip().endswith("."), f"no sentence: {answer!r}")
    check(written() == before, f"before: {before}; after: {written()}")

    say("malformed HTTP")
    wrong = []
    smuggled = "GET /qvd/ping HTTP/1.1\r\nHost: x\r\n"
    # Two in one piece are two: an answer to what was smuggled would be seen.
    whole = "GET /qvd/ping HTTP/1.1\r\n\r\n"
    both = ask(node, whole + get("/qvd/ping"))
    check(both.count("HTTP/1.1 200 ") == 2 and both.count("I am alive") == 2, f"one after the other: {both!r}")
    size = len(whole)
    for what, data, status in (
        ("long line", "GET /" + "a" * 20000 + " HTTP/1.1\r\n\r\n", 414),
        ("long header", smuggled + "A: " + "b" * 20000 + "\r\n\r\n", 431),
        ("many headers", smuggled + "A: b\r\n" * 200 + "\r\n", 431),
        ("huge head", smuggled + ("A: " + "b" * 4000 + "\r\n") * 20 + "\r\n", 431),
        ("length", smuggled + f"Content-Length: {size}\r\n\r\n{whole}", 400),
        ("two lengths",
         smuggled + f"Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{whole}", 400),
        ("a list of lengths", smuggled + f"Content-Length: 0, {size}\r\n\r\n{whole}", 400),
        ("signed length", smuggled + f"Content-Length: +0\r\n\r\n{whole}", 400),
        ("chunked", smuggled + f"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{whole}", 400),
        ("chunked by half",
         smuggled + f"Transfer-Encoding:\tchunked \r\n\r\n{size:x}\r\n{whole}\r\n0\r\n\r\n", 400),
        ("both", smuggled + f"Content-Length: 0\r\nTransfer-Encoding: x\r\n\r\n{whole}", 400),
        ("space before colon", smuggled + f"Content-Length : {size}\r\n\r\n{whole}", 400),
        ("folded", smuggled + f"A: b\r\n Content-Length: {size}\r\n\r\n{whole}", 400),
        ("NUL", b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
        ("high bytes", b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 400),
        ("no version", "GET /\r\n\r\n", 400),
        ("HTTP/9", "GET / HTTP/9.9\r\n\r\n", 505),
        ("POST", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("bad base64", get("/qvd/list_of_vm", "Authorization: Basic ?*\r\n"), 400),
    ):
        answer = ask(node, data)
        if not answer.startswith(f"HTTP/1.1 {status} "):
            wrong.append(f"{what}: {answer[:200]!r} instead of {status}")
        elif "Connection: close" not in answer:
            wrong.append(f"{what}: goes on after {status}")
        if len(re.findall(r"^HTTP/1\.1 \d{3} ", answer, re.M)) != 1 or "I am alive" in answer:
            wrong.append(f"{what}: more than one answer: {answer[:600]!r}")
    check(not wrong, "\n".join(wrong))
    check("I am alive" in ask(node, "GET /qvd/ping HTTP/1.1\nConnection: close\n\n"), "LF only")
    # Neither TLS nor HTTP.
    with socket.create_connection(("127.0.0.1", node.port), timeout=60) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.settimeout(60)
        try:
            said = plain.recv(4096)
        except ConnectionError:
            said = b""
        check(not said.startswith(b"HTTP"), f"plain HTTP was answered: {said!r}")


def greetings(node, ids):
    say("greetings that are none: the session has not seen a byte")
    alice = basic("alice", PASSWORDS["alice"])
    node.panal("desktop", "start", "alices")
    wait_for("the end of the pre-warm",
             lambda: node.desktop("alices")["session"] == "suspended", 90)
    request = (f"GET /qvd/connect_to_vm?id={ids['alices']} HTTP/1.1\r\n{alice}{UPGRADE}\r\n")
    for what, junk in (("junk", b"SSH-2.0-x\r\n"), ("huge", b"NXPROXY-" + b"1" * 100000),
                       ("wrong cookie", b"NXPROXY-3.5.0 cookie=" + b"f" * 32 + b" ")):
        wire = Wire(node)
        wire.send(request)
        head = wire.read_until(b"X-Panal-Cookie: ")
        check("HTTP/1.1 101 " in head, f"{what}: {head!r}")
        rest = wire.answer(junk)
        check("NX" not in rest, f"{what}: {rest!r}")
    slow = Wire(node)
    slow.send(request)
    head = slow.read_until(b"X-Panal-Cookie: ")
    check("HTTP/1.1 101 " in head, f"slow: {head!r}")
    began = time.monotonic()
    closed = False
    for letter in b"NXPROXY-3.5.0-3.5.99 link=lan,limit=0,pack=16m-jpeg-7,session=x ":
        try:
            slow.send(bytes([letter]))
        except OSError:
            closed = True
        if closed or slow.is_closed(1):
            break
    took = time.monotonic() - began
    say(f"  a letter a second: ended after {took:.1f} s")
    check(GREETING - 2 <= took <= GREETING + 5, f"a greeting of a letter a second had {took:.1f} s")
    check(sql(node, "SELECT count(*) FROM sessions") == "0", "a session row for junk")
    refused = sql(node, "SELECT count(*) FROM audit_log WHERE action = 'connect.refused'")
    check(refused == "4", f"{refused} refusals in the audit log instead of 4")
    check(node.desktop("alices")["state"] == "running", "the desktop does not run any more")
    node.panal("desktop", "stop", "alices")


def refused_start(node, code, *words):
    """A start of "alices" that fails: one sentence for who asked, the reason in the row, and nothing
    left of it."""
    sentence(node.panal("desktop", "start", "alices", check=False), code, *words)
    desktop = node.desktop("alices")
    check(desktop["state"] == "failed" and desktop["id_slot"] is None, f"{desktop}")
    for word in words:
        check(word in desktop["reason"], f'"{word}" is not in the reason: {desktop["reason"]}')
    name = f"d{desktop['id']}"
    groups = pathlib.Path("/sys/fs/cgroup")
    parent = os.environ["PANAL_LAB_CGROUP"]
    left = [str(p) for kind in ("panal", "panal-monitor") for p in groups.glob(f"*/{parent}/{kind}/{name}")]
    left += [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
             if f"/desktops/{name}/" in line]
    left += [str(p) for p in [node.run_dir / "desktops" / name] if p.exists()]
    check(not left, f"left behind: {left}")
    return desktop["reason"]


def fill_files(full):
    """Takes all inodes; bytes are left."""
    filler = full / "filler"
    filler.mkdir()
    try:
        for number in range(1 << 20):
            (filler / str(number)).touch()
    except OSError:
        return filler
    raise Failed(f"{full} has no end of files")


def fill_bytes(full):
    """Takes all blocks; inodes are left."""
    # A start begins with empty logs: what the last one wrote must not make room for this one.
    for log in full.glob("*/log/*"):
        os.truncate(log, 0)
    filler = full / "filler"
    filler.mkdir()
    with (filler / "bytes").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            return filler


def what_is_gone(node, full):
    space = "No space left on device"
    for what, fill in (("files", fill_files), ("bytes", fill_bytes)):
        say(f"disk full: no more {what}")
        filler = fill(full)
        if what == "files":
            reason = refused_start(node, 1, space)
            check(reason.startswith("compose failed: ") and str(full) in reason, reason)
        else:
            # An upper of nothing has no bytes; what runs in it does not come up.
            refused_start(node, 1, space)
        shutil.rmtree(filler)
        node.panal("desktop", "start", "alices")
        node.panal("desktop", "stop", "alices")

    say("disk full while it runs: it stops all the same, and what it had goes")
    node.panal("desktop", "start", "alices")
    filler = fill_files(full)
    node.panal("desktop", "stop", "alices")
    check(node.desktop("alices")["state"] == "stopped", f"{node.desktop('alices')}")
    shutil.rmtree(filler)
    volatile = list(full.glob("*/upper/*"))
    check(not volatile, f"left of a volatile upper: {volatile}")

    say("image gone")
    version = next((node.images / "icewm").iterdir())
    umount(version)
    version.rmdir()
    refused_start(node, 1, str(version))


def umount(path):
    subprocess.run(["umount", "-lq", path], check=False)


def mistakes(node, full):
    before_there_is_a_node(node)
    node.panal("up")
    node.panal("image", "build", "icewm")
    ids = {}
    for login, name in (("alice", "alices"), ("bob", "bobs")):
        node.panal("user", "add", login, "--password-file", "/dev/stdin",
                   stdin=PASSWORDS[login] + "\n")
        node.panal("desktop", "create", name, "--user", login, "--image", "icewm")
        ids[name] = node.desktop(name)["id"]
    commands(node)
    tenants(node)
    http(node, ids)
    greetings(node, ids)
    what_is_gone(node, full)


def main():
    node = Node()
    node.state.mkdir(mode=0o755)
    full = node.state / "desktops"
    full.mkdir(mode=0o711)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=20000,mode=711", "full", full], check=True)
    # Images of its own, so that one can vanish: the newest of the cache.
    node.images = node.directory / "images"
    newest = max(
        (p for p in (CACHE / "images/icewm").iterdir() if (p / "manifest.json").exists()),
        key=lambda p: (p / "manifest.json").stat().st_mtime,
    )
    version = node.images / "icewm" / newest.name
    version.mkdir(parents=True)
    node.images.chmod(0o700)
    subprocess.run(["mount", "--bind", CACHE / "images/icewm" / version.name, version], check=True)
    node.config.write_text(
        node.config.read_text().replace(f'"{CACHE}/images"', f'"{node.images}"'))
    status = conduct("bad_input", node, lambda: mistakes(node, full),
                     after_down=[lambda: umount(full), lambda: umount(version)])
    shutil.rmtree(node.directory, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
