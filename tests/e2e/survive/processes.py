"""Processes and cgroups as the kernel shows them."""

import os
import pathlib
import signal
import time

GROUPS = os.environ.get("PANAL_LAB_CGROUP", "") + "/panal"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
PROC = pathlib.Path("/proc")


def alive(pid):
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(*pids):
    """They are dead, or about to be."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    until = time.monotonic() + 1
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.001)


def processes():
    """pid -> (parent, name) of all that live."""
    out = {}
    for entry in PROC.glob("[0-9]*"):
        try:
            head, _, rest = (entry / "stat").read_text().rpartition(")")
        except OSError:
            continue
        words = rest.split()
        if words[0] not in "ZX":
            out[int(entry.name)] = (int(words[1]), head.partition("(")[2])
    return out


def descendants(*roots):
    table, out = processes(), set(roots)
    while more := {pid for pid, (parent, _) in table.items() if parent in out} - out:
        out |= more
    return out - set(roots)


def named(name):
    return {pid for pid, (_, comm) in processes().items() if comm == name}


def name_of(pid):
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def in_group(group):
    out = set()
    for file in CGROUPS.glob(f"*/{group}/cgroup.procs"):
        try:
            out |= {int(word) for word in file.read_text().split()}
        except OSError:
            pass
    return out - {0}


def is_init(pid):
    """Whether it is pid 1 of a namespace right below the lab's: a desktop's init."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")),
                   [])
    return numbers[-1:] == ["1"] and len(numbers) > 1


def inits_of(desktop_id):
    return {pid for pid in in_group(f"{GROUPS}/d{desktop_id}") if is_init(pid)}


def monitors_of(desktop_id):
    return in_group(f"{GROUPS}-monitor/d{desktop_id}")


def nxagents_of(desktop_id):
    return {pid for pid in in_group(f"{GROUPS}/d{desktop_id}") if name_of(pid) == "nxagent"}
