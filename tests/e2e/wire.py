"""Raw bytes to a broker, and what comes back."""

import base64
import socket
import ssl


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

    def is_closed(self, seconds):
        """Whether the other end ends it within that time; what it says meanwhile is dropped."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except (ConnectionError, ssl.SSLError):
            pass
        return True

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
