"""What may be left of desktops that do not run: nothing."""

import pathlib
import subprocess

from survive.processes import CGROUPS, GROUPS, descendants, in_group, processes


def inside(node, which, *command):
    """Runs a command in one of Panal's pinned namespaces."""
    pinned = {"mnt": "--mount", "net": "--net"}[which]
    return subprocess.run(
        ["nsenter", f"{pinned}={node.run_dir}/ns/{which}", *command],
        capture_output=True, text=True, check=True).stdout


def of_rows(rows, live):
    found = [f"desktop {row['name']} is {row['state']}: {row['reason']}" for row in rows
             if row["state"] not in ("running", "stopped", "failed")]
    found += [f"{row['name']} is {row['state']} and has id slot {row['id_slot']}"
              for row in rows if f"d{row['id']}" not in live and row["id_slot"] is not None]
    slots = [row["id_slot"] for row in rows if row["id_slot"] is not None]
    if len(slots) != len(set(slots)):
        found.append(f"id slots used twice: {slots}")
    return found


def of_groups(live):
    return [f"cgroup {group}" for parent in (GROUPS, GROUPS + "-monitor")
            for group in CGROUPS.glob(f"*/{parent}/*")
            if group.is_dir() and group.name not in live | {"lxc.pivot"}]


def of_mounts(node, live):
    desktops = node.run_dir / "desktops"
    found = [f"run directory {p}" for p in desktops.glob("*") if p.name not in live]
    mounts = inside(node, "mnt", "cat", "/proc/self/mountinfo").splitlines()
    points = [line.split()[4] for line in mounts]
    points = [point for point in points if point.startswith(f"{node.run_dir}/")]
    found += [f"mount {point}" for point in points if point.startswith(f"{desktops}/") and
              pathlib.Path(point).relative_to(desktops).parts[0] not in live]
    if len(points) != len(set(points)):
        found.append(f"mounted twice: {sorted({p for p in points if points.count(p) > 1})}")
    return found


def of_links(node, live):
    names = [line.split()[0].partition("@")[0]
             for line in inside(node, "net", "ip", "-br", "link").splitlines()]
    return [f"link {name}" for name in names
            if name.startswith("pnl") and "d" + name[3:] not in live]


def of_locks(node, live):
    return [f"home lock {lock}: {lock.read_text().strip()}"
            for lock in (node.state / "homes").glob("*/*.lock")
            if lock.read_text().strip().partition("@")[0] not in live]


def of_processes(panald):
    # A container's monitor is a fork of a spawner, but in a group of its own.
    known = {panald} | in_group(f"{GROUPS}-monitor/*")
    known |= descendants(*known)
    return [f"{comm} {pid} (parent {parent}) is not panald's" for pid, (parent, comm)
            in processes().items()
            if comm in ("panal-spawner", "panal-prewarm", "panal-warm") and pid not in known]


def residue(node, panald):
    """What belongs to no running desktop of this node."""
    rows = node.json("desktop", "ls")
    live = {f"d{row['id']}" for row in rows if row["state"] == "running"}
    return [*of_rows(rows, live), *of_groups(live), *of_mounts(node, live), *of_links(node, live),
            *of_locks(node, live), *of_processes(panald)]
