"""What the store and panald say, asked without a command: some moments last milliseconds."""

import json
import socket
import subprocess


class Store:
    """One psql that is asked again and again, 1 ms each; a new one after its server has died."""

    def __init__(self, node):
        self.where = node.run_dir / "postgres"
        self.process = None

    def ask(self, text):
        """The answer's lines; None when there is no database."""
        # Its server may have died since: psql then ends, or connects anew and answers nothing.
        old = self.process is not None
        return self.ask_once(text) or (self.ask_once(text) if old else None)

    def ask_once(self, text):
        try:
            if self.process is None:
                self.process = subprocess.Popen(
                    ["psql", "-h", str(self.where), "-U", "panal_admin", "-Atq", "panal"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    text=True)
            self.process.stdin.write(f"{text};\n\\echo .\n")
            self.process.stdin.flush()
            out = []
            while (line := self.process.stdout.readline()) != ".\n":
                if not line:
                    raise BrokenPipeError
                out.append(line.rstrip("\n"))
            return out
        except BrokenPipeError:
            self.close()
            return None

    def state(self, name):
        """(observed, session) of a desktop; None when there is no database."""
        lines = self.ask(f"SELECT observed, session_state FROM desktops WHERE name = '{name}'")
        return tuple(lines[0].split("|")) if lines else None

    def generations(self):
        """{name: "asked|claimed"} of all desktops."""
        return dict(line.split("|", 1) for line in self.ask(
            "SELECT name, generation, claimed_generation FROM desktops") or ())

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def ask_panald(node, op):
    """panald's own answer over its socket; None while there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
            link.settimeout(5)
            link.connect(str(node.run_dir / "panald.sock"))
            link.send(json.dumps({"op": op}).encode())
            while True:
                answer = json.loads(link.recv(1 << 18))
                if "progress" not in answer:
                    return answer
    except (OSError, ValueError):
        return None
