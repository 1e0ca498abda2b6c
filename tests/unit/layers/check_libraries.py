#!/usr/bin/env python3
"""Checks which shared libraries Panal's programs load, by what stands in them (readelf -d, NEEDED).

usage: check_libraries.py DIRECTORY | --self-test

A static library's object comes with all it calls. How sources are put together into objects differs
between builds (one by one, or several as one), so what a program loads is checked in each.
"""
import re
import subprocess
import sys

# What a program must not load, and why.
FORBIDDEN = {
    "panald": (("ostree", "gio-2", "archive", "curl"), "its memory counts for every node, for ever"),
    "panal-broker": (("gpgme", "archive", "lxc"), "it faces the network"),
    "panal-fetch": (("ostree", "gio-2", "archive", "lxc", "pq"), "it reads what strangers send"),
    "panal-unpack": (("ostree", "gio-2", "curl", "lxc", "pq"), "it reads what strangers made"),
    "panal-spawner": (("ostree", "gio-2", "archive", "curl", "pq", "ssl"), "it forks for each start"),
    "panal-home": (("ostree", "gio-2", "archive", "curl", "lxc", "pq"), "one is started for each call"),
    "panal-warm": (("ostree", "gio-2", "archive", "curl", "lxc", "pq"), "one is started for each pass"),
    "panal-agent": (("",), "it runs in every image, and brings all it needs"),
}


def needed(text):
    return re.findall(r"\(NEEDED\)\s+Shared library: \[lib([^\]]+)\]", text)


def faults(program, libraries):
    names, why = FORBIDDEN[program]
    return [f"{program} loads lib{library}: {why}" for library in libraries
            if any(library.startswith(name) for name in names)]


def self_test():
    text = " 0x0000000000000001 (NEEDED)   Shared library: [libostree-1.so.1]\n" \
           " 0x0000000000000001 (NEEDED)   Shared library: [libc.so.6]\n"
    assert needed(text) == ["ostree-1.so.1", "c.so.6"], needed(text)
    assert faults("panald", needed(text)) == ["panald loads libostree-1.so.1: its memory counts for every node, for ever"]
    assert faults("panald", ["c.so.6"]) == []
    assert len(faults("panal-agent", ["c.so.6"])) == 1


def main():
    if sys.argv[1] == "--self-test":
        return self_test()
    found = []
    for program in FORBIDDEN:
        text = subprocess.run(["readelf", "-d", f"{sys.argv[1]}/{program}"], check=True, capture_output=True,
                              text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
        found += faults(program, needed(text))
    print("\n".join(found) or "all programs load only what they may")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
