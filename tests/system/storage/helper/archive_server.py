#!/usr/bin/env python3
"""A web server for an archive of images, as good or as bad as the request's path asks for.

usage: archive_server.py DIRECTORY LOG [--tls DIRECTORY]

Prints its port (and with --tls the pin of its key, "sha256//..."), then serves. The first part of a
path says how the rest is answered: /good/FILE as any web server would, the others as HOW says; but
panal-images, commits and directories are always right unless HOW is for the list. LOG gets a line
"HOW FILE" for each request. --tls makes a certificate for 127.0.0.1 in that directory (cert.pem).
"""
import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading
import time
import zlib

ZEROS = bytes(1 << 16)


def make_certificate(directory):
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "der"], check=True,
                            stdout=subprocess.PIPE).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], check=True, input=public,
                            stdout=subprocess.PIPE).stdout
    return cert, key, "sha256//" + base64.b64encode(digest).decode()


def bomb():
    """128 MiB of zeros, which are 128 KiB here."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return b"".join(packer.compress(ZEROS) for _ in range(1 << 11)) + packer.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_head(self, status, length, **headers):
        self.send_response(status)
        if length is None:
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_whole(self, data):
        self.send_head(200, len(data))
        self.wfile.write(data)

    def endlessly(self, piece, pause=0.0):
        while True:
            self.wfile.write(piece)
            if pause:
                self.wfile.flush()
                time.sleep(pause)

    def do_GET(self):
        how, _, name = self.path.lstrip("/").partition("/")
        with self.server.lock, open(self.server.log, "a") as log:
            log.write(f"{how} {name}\n")
        path = os.path.join(self.server.directory, name)
        if ".." in name or not os.path.isfile(path):
            return self.send_head(404, 0)
        with open(path, "rb") as file:
            data = file.read()
        aimed = name == "panal-images" if how.endswith("-list") else name.endswith(".filez")
        bad = getattr(self, "how_" + how.removesuffix("-list").replace("-", "_"), None)
        try:
            if bad is not None and aimed:
                return bad(data)
            return self.send_whole(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def how_endless(self, data):
        self.send_head(200, None)
        self.wfile.write(data)
        self.endlessly(ZEROS)

    def how_huge(self, _):
        self.send_head(200, 1 << 40)
        self.endlessly(ZEROS)

    def how_lying(self, data):
        """Says how long it is, and goes on."""
        self.send_head(200, len(data))
        self.wfile.write(data)
        self.endlessly(ZEROS)

    def how_short(self, data):
        self.send_head(200, len(data) + 10)
        self.wfile.write(data)
        self.close_connection = True

    def how_wrong(self, data):
        self.send_whole(data[:-1] + bytes([data[-1] ^ 1]))

    def how_empty(self, _):
        self.send_whole(b"")

    def how_html(self, _):
        self.send_whole(b"<html><body>Log in to the hotel's network</body></html>")

    def how_bomb(self, data):
        """The object's own header, and more behind it than it says."""
        self.send_whole(data[:8 + int.from_bytes(data[:4], "big")] + self.server.bomb)

    def how_gone(self, _):
        self.send_head(404, 0)

    def how_error(self, _):
        self.send_head(500, 0)

    def how_loop(self, _):
        self.send_head(302, 0, Location=self.path)

    def how_file(self, _):
        self.send_head(302, 0, Location="file:///etc/passwd")

    def how_elsewhere(self, _):
        """A redirect that is in order."""
        self.send_head(302, 0, Location=self.path.replace("/elsewhere/", "/good/"))

    def how_silent(self, _):
        time.sleep(600)

    def how_slow(self, data):
        """A byte now and then: it never stops, and never comes anywhere."""
        self.send_head(200, 1 << 20)
        self.endlessly(b"x", 0.1)

    def how_headers(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self.endlessly(b"X-More: " + b"x" * 1000 + b"\r\n")

    def how_header_line(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-More: ")
        self.endlessly(ZEROS.replace(b"\0", b"x"))

    def how_rubbish(self, _):
        self.wfile.write(os.urandom(4096))
        self.close_connection = True

    def how_delayed(self, data):
        """In order, and not fast."""
        time.sleep(0.05)
        self.send_whole(data)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass


def main():
    server = Server(("127.0.0.1", 0), Handler)
    server.directory, server.log, server.lock = sys.argv[1], sys.argv[2], threading.Lock()
    server.bomb = bomb()
    words = [str(server.server_address[1])]
    if sys.argv[3:4] == ["--tls"]:
        cert, key, pin = make_certificate(sys.argv[4])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        words.append(pin)
    print(*words, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
