#!/usr/bin/env python3
"""Checks the walls between the rooms (docs/architecture.md, "Rooms").

usage: check_layers.py ROOT        prints what is wrong, exit code 1
       check_layers.py --self-test makes small wrong trees and checks that each is found out
"""
import os
import re
import sys
import tempfile

ROOMS = ("engine", "storage", "netconfine", "runtime", "bench", "tests")
BASE = ["engine/base", "engine/model"]
# What a folder may include besides itself; the first matching prefix counts.
MAY_INCLUDE = [
    ("engine/base", []),
    ("engine/model", ["engine/base"]),
    ("storage/transfer", [*BASE, "storage/repo", "storage/transfer"]),  # its helper program is below it
    ("engine/profile", [*BASE, "engine/kernel"]),  # what it writes are the kernel's settings
    ("engine", BASE),  # kernel, policy: each for itself
    ("storage/repo", BASE),
    # An import is unpacked where builds are made, and finalised as they are.
    ("storage/import", [*BASE, "storage/repo", "storage/image", "storage/recipe", "storage/unpack"]),
    ("storage/backup", [*BASE, "storage/home"]),
    ("storage/home", [*BASE, "storage/image", "storage/quota"]),
    ("storage/compose", [*BASE, "storage/image", "storage/compose"]),  # a backend is a folder below
    ("storage", [*BASE, "storage/repo", "storage/image"]),
    ("netconfine", [*BASE, "netconfine"]),
    ("runtime", ["engine", "storage", "netconfine", "runtime"]),
]
MAX_TLS_FILES = 3
KERNEL_PATHS_FILE = "engine/base/kernel_paths.h"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
KERNEL_LITERAL = re.compile(r'"/(?:proc|sys|dev)(?:/[^"]*)?"')


def without_comments(text):
    """Comments blanked out, string literals kept, line numbers unchanged."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.S)

    def replace(match):
        piece = match[0]
        return re.sub(r"[^\n]", " ", piece) if piece.startswith("/") else piece
    return pattern.sub(replace, text)


def sources(root):
    for room in ROOMS:
        for top, folders, files in os.walk(os.path.join(root, room)):
            folders[:] = [f for f in folders if f not in ("node_modules", "__pycache__")]
            for file in files:
                if file.endswith((".h", ".cc")):
                    yield os.path.relpath(os.path.join(top, file), root)


def is_below(path, folder):
    return path == folder or path.startswith(folder + "/")


def check(root):
    complaints = []
    tls = []
    for path in sorted(sources(root)):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = without_comments(file.read())
        in_tests = path.startswith(("tests/", "bench/"))
        folder = os.path.dirname(path)

        def wrong(position, what):
            complaints.append(f"{path}:{text.count(chr(10), 0, position) + 1}: {what}")

        if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.M):
            complaints.append(f"{path}:1: no #pragma once")
        if not in_tests and path != KERNEL_PATHS_FILE:
            for match in KERNEL_LITERAL.finditer(text):
                wrong(match.start(), f"kernel path {match[0]}: put it into {KERNEL_PATHS_FILE}")
        for match in INCLUDE.finditer(text):
            kind, target = match.groups()
            if target.startswith("boost/beast"):
                wrong(match.start(), "Boost.Beast costs 35 s a file and is not used")
            if target.startswith("boost/asio") and not path.startswith(("runtime/", "tests/", "bench/")):
                wrong(match.start(), "Asio is for runtime only")
            if target == "libpq-fe.h" and not path.startswith("runtime/store/") and not in_tests:
                wrong(match.start(), "libpq is for runtime/store only")
            if (target.startswith(("ostree", "gio/", "glib")) and not in_tests
                    and not path.startswith(("storage/repo/", "storage/transfer/"))):
                wrong(match.start(), "libostree and GLib are for storage/repo and storage/transfer only")
            if target == "openssl/ssl.h" or target.startswith("boost/asio/ssl"):
                if not in_tests and path not in tls:
                    tls.append(path)
            if kind != '"':
                continue
            if in_tests and os.path.exists(os.path.join(root, folder, target)):
                continue  # a test's own helper beside it
            if not target.startswith(tuple(room + "/" for room in ROOMS)):
                wrong(match.start(), f'include "{target}" is not written from the root')
                continue
            if not os.path.exists(os.path.join(root, target)):
                wrong(match.start(), f'include "{target}": there is no such file')
            if in_tests:
                continue
            if target.startswith(("tests/", "bench/")):
                wrong(match.start(), f"may not include {target}: nobody includes tests or bench")
                continue
            allowed = next((a for prefix, a in MAY_INCLUDE if is_below(folder, prefix)), [])
            if not any(is_below(os.path.dirname(target), a) for a in [folder, *allowed]):
                wrong(match.start(), f"{folder} may not include {target}")
    if len(tls) > MAX_TLS_FILES:
        complaints.append(f"{len(tls)} files include TLS headers, {MAX_TLS_FILES} may: {', '.join(tls)}")
    return complaints


FINE = {
    "engine/base/a.h": "#pragma once\n",
    "engine/base/kernel_paths.h": '#pragma once\nconst char* k = "/proc";\n',
    "engine/model/m.h": '#pragma once\n#include "engine/base/a.h"\n',
    "engine/kernel/k.cc": '#include "engine/model/m.h"\n// reads "/proc/meminfo"\n/* "/sys" */\n',
    "engine/kernel/k.h": "#pragma once\n",
    "engine/profile/p.cc": '#include "engine/kernel/k.h"\n#include "engine/model/m.h"\n',
    "storage/image/i.h": '#pragma once\n#include "engine/base/a.h"\n',
    "storage/repo/r.cc": "#include <ostree.h>\n#include <gio/gio.h>\n",
    "storage/repo/r.h": "#pragma once\n",
    "storage/image/r.cc": '#include "storage/repo/r.h"\n',
    "storage/home/h.cc": '#include "storage/image/i.h"\nconst char* w = "/development";\n',
    "runtime/store/s.cc": '#include <libpq-fe.h>\n#include "engine/model/m.h"\n',
    "runtime/broker/b.cc": "#include <boost/asio/post.hpp>\n#include <openssl/ssl.h>\n",
    "tests/unit/t.cc": '#include "engine/base/a.h"\nconst char* p = "/proc/self";\n',
}
WRONG = {
    "base includes model": {"engine/base/x.cc": '#include "engine/model/m.h"\n'},
    "model includes kernel": {"engine/kernel/k.h": "#pragma once\n",
                              "engine/model/x.cc": '#include "engine/kernel/k.h"\n'},
    "kernel includes profile": {"engine/profile/p.h": "#pragma once\n",
                                "engine/kernel/x.cc": '#include "engine/profile/p.h"\n'},
    "profile includes policy": {"engine/policy/p.h": "#pragma once\n",
                                "engine/profile/x.cc": '#include "engine/policy/p.h"\n'},
    "policy includes kernel": {"engine/kernel/k.h": "#pragma once\n",
                               "engine/policy/x.cc": '#include "engine/kernel/k.h"\n'},
    "storage includes netconfine": {"netconfine/n.h": "#pragma once\n",
                                    "storage/home/x.cc": '#include "netconfine/n.h"\n'},
    "netconfine includes storage": {"netconfine/x.cc": '#include "storage/image/i.h"\n'},
    "engine includes runtime": {"runtime/r.h": "#pragma once\n",
                                "engine/kernel/x.cc": '#include "runtime/r.h"\n'},
    "runtime includes tests": {"tests/support/f.h": "#pragma once\n",
                               "runtime/x.cc": '#include "tests/support/f.h"\n'},
    "repo includes image": {"storage/repo/x.cc": '#include "storage/image/i.h"\n'},
    "libostree outside the repository": {"storage/image/x.cc": "#include <ostree.h>\n"},
    "asio outside runtime": {"engine/kernel/x.cc": "#include <boost/asio/post.hpp>\n"},
    "beast": {"runtime/broker/x.cc": "#include <boost/beast/core.hpp>\n"},
    "libpq outside the store": {"runtime/node/x.cc": "#include <libpq-fe.h>\n"},
    "a fourth TLS file": {f"runtime/broker/x{i}.cc": "#include <openssl/ssl.h>\n" for i in range(3)},
    "no pragma once": {"engine/kernel/x.h": "struct X {};\n"},
    "kernel path literal": {"engine/kernel/x.cc": 'open("/sys/kernel/mm/ksm/run");\n'},
    "kernel directory literal": {"runtime/x.cc": 'open("/dev");\n'},
    "include not from the root": {"engine/kernel/x.cc": '#include "k.h"\n'},
    "include of nothing": {"engine/kernel/x.cc": '#include "engine/base/gone.h"\n'},
}


def check_tree(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        return check(root)


def self_test():
    failed = [f"a right tree is called wrong: {c}" for c in check_tree(FINE)]
    for what, files in WRONG.items():
        found = check_tree({**FINE, **files})
        if len(found) != 1:
            failed.append(f"{what}: want one complaint, got {found}")
    for line in failed:
        print(line)
    print(f"layers self-test: {1 + len(WRONG) - len(failed)} of {1 + len(WRONG)} passed")
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    complaints = check(sys.argv[1])
    for complaint in complaints:
        print(complaint)
    print(f"layers: {len(list(sources(sys.argv[1])))} files, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
