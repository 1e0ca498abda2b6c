"""Wrong input at a real node: each mistake gets one sentence and changes nothing.

What parsers and single parts answer is in the unit tests; docs/threat-model.md lists them. A clock
set back is in clock.py.
"""

import base64
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time

from farm import BIN, CACHE, Failed, Node, conduct, say, wait_for

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


def basic(login, password):
    token = base64.b64encode(f"{login}:{password}".encode()).decode()
    return f"Authorization: Basic {token}\r\n"


class Wire:
    """A TLS connection to the broker and raw bytes on it."""

    def __init__(self, node):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", node.port), timeout=60)
        )

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def read_until(self, mark=None):
        data = b""
        while mark is None or mark not in data:
            try:
                piece = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                break
            if not piece:
                break
            data += piece
        return data.decode(errors="replace")

    def answer(self, data):
        try:
            self.send(data)
        except (ConnectionError, ssl.SSLError):
            pass  # refused before all was sent
        return self.read_until()


def ask(node, data):
    return Wire(node).answer(data)


def get(path, headers=""):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"


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
    for what, data, status in (
        ("long line", "GET /" + "a" * 20000 + " HTTP/1.1\r\n\r\n", 414),
        ("long header", smuggled + "A: " + "b" * 20000 + "\r\n\r\n", 431),
        ("many headers", smuggled + "A: b\r\n" * 200 + "\r\n", 431),
        ("huge head", smuggled + ("A: " + "b" * 4000 + "\r\n") * 20 + "\r\n", 431),
        ("length", smuggled + "Content-Length: 5\r\n\r\nGET /", 400),
        ("two lengths", smuggled + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
        ("signed length", smuggled + "Content-Length: +0\r\n\r\n", 400),
        ("chunked", smuggled + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("both", smuggled + "Content-Length: 0\r\nTransfer-Encoding: x\r\n\r\n", 400),
        ("space before colon", smuggled + "Content-Length : 0\r\n\r\n", 400),
        ("folded", smuggled + "A: b\r\n c\r\n\r\n", 400),
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
    sent = 0
    try:
        for letter in b"NXPROXY-3.5.0-3.5.99 link=lan,limit=0,pack=16m-jpeg-7,session=x ":
            slow.send(bytes([letter]))
            sent += 1
            time.sleep(1)
    except (ConnectionError, ssl.SSLError):
        pass
    check(sent < 60, "a greeting of one letter a second was waited for")
    rest = slow.read_until()
    check("NX" not in rest, f"slow: {rest!r}")
    check(sql(node, "SELECT count(*) FROM sessions") == "0", "a session row for junk")
    refused = sql(node, "SELECT count(*) FROM audit_log WHERE action = 'connect.refused'")
    check(refused == "4", f"{refused} refusals in the audit log instead of 4")
    check(node.desktop("alices")["state"] == "running", "the desktop does not run any more")
    node.panal("desktop", "stop", "alices")


def what_is_gone(node, full):
    say("disk full while composing")
    # A start begins with empty logs: what the last one wrote must not make room for this one.
    for log in full.glob("*/log/*"):
        os.truncate(log, 0)
    filler = full / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    done = node.panal("desktop", "start", "alices", check=False)
    say(f"  exit {done.returncode}: {done.stderr.strip()}")
    desktop = node.desktop("alices")
    check(done.returncode == 1 and desktop["state"] == "failed", f"{desktop}")
    check("No space left on device" in desktop["reason"], f"{desktop['reason']}")
    filler.unlink()
    node.panal("desktop", "start", "alices")
    node.panal("desktop", "stop", "alices")

    say("image gone")
    version = next((node.images / "icewm").iterdir())
    umount(version)
    version.rmdir()
    done = node.panal("desktop", "start", "alices", check=False)
    say(f"  exit {done.returncode}: {done.stderr.strip()}")
    desktop = node.desktop("alices")
    check(done.returncode == 1 and desktop["state"] == "failed", f"{desktop}")
    check(str(version) in desktop["reason"], f"{desktop['reason']}")


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
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "full", full], check=True)
    # Images of its own, so that one can vanish: the newest of the cache.
    node.images = node.directory / "images"
    newest = max(
        (p for p in (CACHE / "images/icewm").iterdir() if (p / "manifest.json").exists()),
        key=lambda p: p.stat().st_mtime,
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
