#!/usr/bin/env python3
"""Stands in for panal-fetch after a server has taken it over. What it does is the host in the URL."""
import json
import os
import socket
import sys
import time

link = socket.socket(fileno=3)
how = json.loads(link.recv(1 << 16))["url"].removeprefix("http://")
if how == "exits":
    sys.exit(0)
if how == "deaf":
    time.sleep(600)
kept = []
while True:
    data, files, _, _ = socket.recv_fds(link, 1 << 16, 1)
    if not data:
        break
    request = json.loads(data)
    done = json.dumps({"id": request["id"], "outcome": "done", "words": ""}).encode()
    if how == "nonsense":
        link.send(b"\xff{nonsense")
    elif how == "long":
        link.send(done + b" " * 20000)
    elif how == "nothing":
        link.send(b"{}")
    elif how == "stranger":
        link.send(done.replace(b'"id": ', b'"id": 9'))
    elif how == "flood":
        while True:
            link.send(done.replace(b'"id": ', b'"id": 9'))
    elif how == "stops":
        link.send(json.dumps({"id": 0, "outcome": "failed", "words": "\x1b[31mno\n"}).encode())
    elif how == "silent":
        time.sleep(600)
    else:
        os.write(files[0], b"hello")
        if how == "keeps":
            kept.append(os.dup(files[0]))
        if how == "large":
            os.ftruncate(files[0], request["most_bytes"] + 1)
        for file in files:
            os.close(file)
        gifts = [os.open("/etc/passwd", os.O_RDONLY)] if how == "gift" else []
        socket.send_fds(link, [done], gifts)
        for gift in gifts:
            os.close(gift)
