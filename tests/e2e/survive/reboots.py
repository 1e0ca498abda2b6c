"""Nothing is left but the disk."""

import os
import pathlib
import subprocess
import time

from farm import Failed
from survive.processes import CGROUPS, GROUPS, descendants, in_group, kill, processes


def ours():
    """All processes of the node; not the users' computers."""
    table = processes()
    keep = {os.getpid(), 1}
    at = os.getpid()
    while at in table and at not in keep | {0}:
        keep.add(at)
        at = table[at][0]
    roots = {pid for pid, (_, comm) in table.items()
             if comm in ("postgres", "panald", "panal", "panal-broker", "panal-spawner",
                         "panal-prewarm", "panal-warm", "panal-agent") or comm.startswith("[lxc monitor]")}
    for parent in (GROUPS, GROUPS + "-monitor", GROUPS + "-warm"):
        roots |= in_group(parent)
        roots |= in_group(parent + "/*")
    return (roots | descendants(*roots)) - keep


def pull_the_plug(farm):
    """As a machine that loses its power: no process, cgroup, mount or file of /run is left."""
    for seat in (*farm.seats, farm.spare):
        seat.terminal_file().unlink(missing_ok=True)  # of a life that ends here
    while left := ours():
        kill(*left)
        time.sleep(0.05)
    parents = (GROUPS, GROUPS + "-monitor", GROUPS + "-warm")
    groups = [g for parent in parents for g in CGROUPS.glob(f"*/{parent}/**/") if g.is_dir()]
    for group in sorted(groups, key=lambda g: -len(g.parts)):
        group.rmdir()
    for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(str(farm.node.run_dir)):
            subprocess.run(["umount", line.split()[1]], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", str(farm.node.run_dir)], check=True)


def reboot(farm, _):
    """Nothing is left but the disk: what was wanted comes back, volatile data does not."""
    volatile, persistent = farm.seats[0], farm.seats[1]
    for seat in (volatile, persistent):
        seat.run_inside("touch", "/srv/marker")
    inits = set(farm.inits().values())
    pull_the_plug(farm)
    farm.node.panal("up", "--wait")
    for seat in farm.seats:
        if seat.facts()["state"] != "running" or seat.pid() is None:
            raise Failed(f"after the reboot: {seat.facts()}")
    if farm.spare.facts()["state"] != "stopped":
        raise Failed("a desktop that nobody wants was started")
    farm.connect_all()
    for seat in farm.seats:
        seat.type("rebooted")
    if volatile.run_inside("ls", "/srv").split():
        raise Failed("volatile data survived the reboot")
    if persistent.run_inside("ls", "/srv").split() != ["marker"]:
        raise Failed("the persistent root lost its data")
    farm.nothing_left()
    return f"{len(inits)} desktops are back"
