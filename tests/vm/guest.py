"""Inside the virtual machine: the whole path of a node on a stock Debian, over a reboot.

Started by panal-vm.service at each boot; which stage it is, a file on the disk says. What it prints
goes to the serial line that tests/vm/run reads: "step NAME", "ok NAME SECONDS", "FAILED NAME" (of a
test program with its seconds, and with how many passed), and at the end of a boot "reboot", "done" or "failed". Other lines are for people.
"""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time
import traceback

PAYLOAD = pathlib.Path("/payload")
sys.path.insert(0, str(PAYLOAD / "e2e"))
os.environ["PANAL_BIN_DIR"] = "/usr/bin"
import farm  # noqa: E402
from farm import Client, Failed, Screen, say, wait_for  # noqa: E402

STAGE = pathlib.Path("/var/lib/panal-vm.stage")
OUT = pathlib.Path("/var/lib/panal-vm.out")  # pictures and logs, taken out at the end
OUT_DISK = "/dev/vdc"
CGROUP = pathlib.Path("/sys/fs/cgroup")
GIVEN = CGROUP / "panal.slice/panal-desktops.service"
LOGIN, PASSWORD, NAME = "alice", "correct horse 7", "alice-desk"
SLOW = 600  # seconds; an emulated processor is 10 to 20 times slower than a real one
PATIENCE = 10  # by how much system tests wait longer (tests/support/patience.h)
# System tests that set what is the machine's: KSM, zram, sysctls.
MACHINE_SETTINGS = {"system_kernel_machine", "system_optimiser", "system_tuning"}
# Which tests may skip here (by name), and with what words. Any other skip is a failure: else one
# that lost what it needs would look as if it had passed.
ALLOWED_SKIPS = [
    (r".*", r"nothing is missing: .*"),  # about machines that lack something
    (r".*", r"nothing is missing here: this kernel has no zswap"),  # Debian's cloud kernel
    (r".*(?<!/icewm)", r".*; run scripts/test-image"),  # no other image is brought along
    (r".*", r"this kernel cannot merge a process's memory"),  # PR_SET_MEMORY_MERGE is Linux 6.4's
]


class Node(farm.Node):
    """The node that systemd keeps, with the default configuration."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self.state = pathlib.Path("/var/lib/panal")
        self.run_dir = pathlib.Path("/run/panal")
        self.config = pathlib.Path("/etc/panal/panal.toml")
        self.port = 8443


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SLOW)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout.strip()


def expect(condition, what):
    if not condition:
        raise Failed(what)


def emit(line):
    print(line, flush=True)


def pid_of(node, service):
    status = node.panal("status", "--json", check=False)  # exit 3 while one does not run
    return json.loads(status.stdout)["services"][service]["pid"]


def unit_property(unit, name):
    return run("systemctl", "show", "--property", name, "--value", unit)


def attach(node, picture):
    """A real client in a real X server, until the desktop has painted; leaves it attached."""
    screen = Screen()
    client = Client(node, screen, LOGIN, PASSWORD, NAME, "--geometry", "1000x700")
    try:
        wait_for("a connected session", lambda: node.desktop(NAME)["session"] == "connected", SLOW)
        shape = screen.wait_painted(OUT / picture, 30, SLOW / 4)
    except Failed:
        say("panal-client said:\n" + client.output())
        for command in (("xwininfo", "-root", "-tree"), ("xdotool", "search", "--class", ".*"),
                        ("import", "-window", "root", str(OUT / "failed.png"))):
            done = screen.run(*command)
            say(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        client.close()
        screen.close()
        raise
    expect(abs(shape[3] - 1000) <= 40, f"asked for 1000x700, the window is {shape[3]}x{shape[4]}")
    return screen, client


def detach(node, screen, client):
    client.close()
    screen.close()
    wait_for("a suspended session", lambda: node.desktop(NAME)["session"] == "suspended", SLOW)


# --- the steps -------------------------------------------------------------------------------------

def host_is_stock(_):
    say(run("uname", "-a") + "; " + run("systemctl", "--version").splitlines()[0])
    expect(run("ps", "-o", "comm=", "-p", "1") == "systemd", "pid 1 is not systemd")
    kinds = {line.split()[2] for line in pathlib.Path("/proc/mounts").read_text().splitlines()}
    expect("cgroup2" in kinds and "cgroup" not in kinds, f"not pure cgroup v2: {kinds}")
    enabled = pathlib.Path("/sys/module/apparmor/parameters/enabled").read_text().strip()
    expect(enabled == "Y", f"AppArmor is not enabled: {enabled}")
    expect("cloud-amd64" in os.uname().release, "not Debian's cloud kernel")


def install(_):
    run("cp", "-a", f"{PAYLOAD}/install/.", "/")
    for program in pathlib.Path("/usr/lib/panal").iterdir():
        missing = [line for line in run("ldd", str(program), check=False).splitlines()
                   if "not found" in line]
        expect(not missing, f"{program}: {missing}")
    run("apparmor_parser", "-r", "/etc/apparmor.d/panal-desktop")
    run("systemctl", "daemon-reload")
    pathlib.Path("/etc/panal").mkdir(exist_ok=True)
    shutil.copy("/usr/share/doc/panal/panal.toml", "/etc/panal/panal.toml")


def doctor(node):
    done = node.panal("doctor", "--json", check=False)
    checks = json.loads(done.stdout)["checks"]
    for check in checks:
        if check["verdict"] != "ok":
            say(f"doctor: {check['verdict']} {check['name']}: {check['found']}")
    # Before panal up root has no id range yet, which up makes.
    bad = [c["name"] for c in checks if c["verdict"] == "FAIL" and c["name"] != "ids"]
    expect(not bad, f"doctor: {bad} failed")
    names = {c["name"]: c for c in checks}
    expect(names["cgroups"]["found"] == "v2", f"doctor sees {names['cgroups']}")
    expect(names["AppArmor"]["verdict"] == "ok", f"doctor sees {names['AppArmor']}")


def up(node):
    run("systemctl", "enable", "panal.service")
    say(node.panal("up").stdout.rstrip())
    expect(unit_property("panal.service", "ActiveState") == "active", "panal.service is not active")
    main = int(unit_property("panal.service", "MainPID"))
    expect(main == pid_of(node, "supervisor"), "systemd's main process is not the supervisor")
    expect(unit_property("panal-desktops.service", "Delegate") == "yes", "nothing is delegated")
    again = node.panal("up").stdout
    expect("runs already" in again, again)


def desktop(node):
    node.panal("image", "build", "icewm")
    node.panal("user", "add", LOGIN, "--password-file", "/dev/stdin", stdin=PASSWORD + "\n")
    node.panal("desktop", "create", NAME, "--user", LOGIN, "--image", "icewm")
    node.panal("desktop", "start", NAME)


def confinement(node):
    pid = node.desktop(NAME)["pid"]
    proc = pathlib.Path(f"/proc/{pid}")
    group = proc.joinpath("cgroup").read_text().strip()
    expect(group == "0::/panal.slice/panal-desktops.service/panal/d1", f"init is in {group}")
    expect(not (GIVEN / "cgroup.procs").read_text(), "a process in the delegated group itself")
    limits = {knob: (GIVEN / "panal/d1" / knob).read_text().strip()
              for knob in ("memory.max", "pids.max", "memory.current", "pids.current")}
    say(f"limits of the desktop: {limits}")
    expect(limits["memory.max"] != "max" and limits["pids.max"] != "max", f"no limits: {limits}")
    parent = (GIVEN / "panal/memory.max").read_text().strip()
    expect(parent != "max", "the desktops together have no limit")
    monitors = (GIVEN / "panal-monitor/d1/cgroup.procs").read_text().split()
    expect(len(monitors) == 1, f"monitors: {monitors}")
    profiles = pathlib.Path("/sys/kernel/security/apparmor/profiles").read_text()
    (OUT / "apparmor-profiles").write_text(profiles)  # a fuzz seed comes from here
    label = proc.joinpath("attr/current").read_text().strip()
    expect(label == "panal-desktop (enforce)", f"AppArmor label of init: {label}")
    status = proc.joinpath("status").read_text()
    expect(re.search(r"^Seccomp_filters:\s+[1-9]", status, re.M), "no seccomp filter")
    mask = proc.joinpath("root/proc/sysrq-trigger").stat()
    expect(stat.S_ISCHR(mask.st_mode) and mask.st_rdev == os.makedev(1, 3), "sysrq-trigger is bare")
    # From inside, past the mount flags: AppArmor's own refusal.
    inside = run("nsenter", "--target", str(pid), "--all", "--", "sh", "-c",
                 "ls /sys/fs/cgroup | wc -l", check=False)
    expect(inside == "0", f"the cgroup tree is visible in the desktop: {inside} entries")


def attached(node):
    screen, client = attach(node, "first.png")
    detach(node, screen, client)


def supervisor_dies(node):
    init = node.desktop(NAME)["pid"]
    before = {s: pid_of(node, s) for s in ("supervisor", "postgres", "panald", "broker")}
    os.kill(before["supervisor"], 9)
    wait_for("another supervisor",
             lambda: pid_of(node, "supervisor") not in (None, before["supervisor"]), SLOW)
    after = {s: pid_of(node, s) for s in ("postgres", "panald", "broker")}
    expect(after.items() <= before.items(), f"it took others along: {before} became {after}")
    expect(node.desktop(NAME)["pid"] == init, "the desktop was started anew")
    expect(int(unit_property("panal.service", "MainPID")) == pid_of(node, "supervisor"),
           "systemd does not watch the new supervisor")


def restart_keeps_desktops(node):
    init = node.desktop(NAME)["pid"]
    before = pid_of(node, "panald")
    run("systemctl", "restart", "panal.service")
    node.panal("up", "--wait")
    expect(pid_of(node, "panald") != before, "panald was not restarted")
    expect(node.desktop(NAME)["pid"] == init, "the desktop did not survive the restart")
    screen, client = attach(node, "after-restart.png")
    detach(node, screen, client)


def keeper_dies(node):
    init = node.desktop(NAME)["pid"]
    keeper = int(unit_property("panal-desktops.service", "MainPID"))
    os.kill(keeper, 9)
    wait_for("its unit's end", lambda: unit_property("panal-desktops.service", "MainPID") == "0", SLOW)
    run("systemctl", "restart", "panal.service")
    node.panal("up", "--wait")
    expect(node.desktop(NAME)["pid"] == init, "the desktop did not survive it")


def stop_and_start(node):
    node.panal("desktop", "stop", NAME)
    expect(node.desktop(NAME)["state"] == "stopped", f"after stop: {node.desktop(NAME)}")
    expect(not (GIVEN / "panal/d1").exists(), "the desktop's group is still there")
    node.panal("desktop", "start", NAME)


def up_again_after_boot(node):
    """Nobody says anything: the unit is enabled, and the desktop was wanted."""
    wait_for("the node", lambda: node.panal("status", check=False).returncode == 0, SLOW, 2)
    wait_for("the desktop", lambda: node.desktop(NAME)["state"] == "running", SLOW, 2)


def denials(_):
    text = run("journalctl", "--boot", "--dmesg", "--no-pager")
    denied = [line for line in text.splitlines() if 'apparmor="DENIED"' in line and "panal" in line]
    for line in denied[:20]:
        say(line)
    expect(not denied, f"AppArmor denied {len(denied)} things in this boot")


def stop_unit(node):
    init = node.desktop(NAME)["pid"]
    run("systemctl", "stop", "panal.service")
    expect(pathlib.Path(f"/proc/{init}").exists(), "stopping the unit stopped the desktop")
    run("systemctl", "stop", "panal-desktops.service")
    expect(not pathlib.Path(f"/proc/{init}").exists(), "the desktop outlived its unit")
    expect(not GIVEN.exists(), "its groups are still there")
    say(node.panal("up", "--wait").stdout.rstrip())
    expect(node.desktop(NAME)["pid"] != init, "that is the dead desktop")


def down(node):
    done = node.panal("down", check=False)
    expect(done.returncode == 0, f"{done.stdout}\n{done.stderr}")
    expect(unit_property("panal.service", "ActiveState") == "inactive",
           "panal.service is " + unit_property("panal.service", "ActiveState"))
    groups = [p.name for p in GIVEN.iterdir() if p.is_dir()]
    expect(groups == ["keeper"], f"groups that are left: {groups}")
    left = [p.name for p in pathlib.Path("/run/panal").glob("*")]
    expect(not left, f"left in /run/panal: {left}")


def skips(text):
    """Tests that were skipped, and their words."""
    return re.findall(r"^\[ RUN +\] (\S+)\n(?:(?!\[ ).*\n)*?\S+:\d+: Skipped\n(.*)$", text, re.M)


def unexpected_skips(text):
    """Tests that were skipped and should not have been, with their words."""
    return [f"{test}: {why}" for test, why in skips(text)
            if not any(re.fullmatch(a, test) and re.fullmatch(b, why) for a, b in ALLOWED_SKIPS)]


def system_tests(_):
    """The engine's system tests, as built on the host, in the lab of this pure v2."""
    run("modprobe", "zram")  # a module on Debian
    source = pathlib.Path((PAYLOAD / "source-directory").read_text().strip())
    # Programs know the path they were built at; in the lab, which has a /tmp of its own.
    place = f'mkdir -p "{source.parent}"; [ -e "{source}" ] || ln -s {PAYLOAD}/source "{source}"; exec "$0"'
    # Where tests look for what scripts/test-image has made; icewm alone is here.
    pathlib.Path("/var/cache/panal").mkdir(exist_ok=True)
    pathlib.Path("/var/cache/panal/images").symlink_to(PAYLOAD / "images")
    os.environ["GTEST_FILTER"] = (PAYLOAD / "filter").read_text()
    os.environ["PANAL_PATIENCE"] = str(PATIENCE)
    failed = []
    for program in sorted((PAYLOAD / "source/build/dev/bin").glob("system_*")):
        lab = ["--memory", "2560M"]
        if program.name in MACHINE_SETTINGS:
            lab.append("--machine-settings")
        begin = time.monotonic()
        done = subprocess.run([f"{PAYLOAD}/source/scripts/lab", *lab, "sh", "-c", place,
                               str(program)],
                              capture_output=True, text=True, check=False, timeout=6 * SLOW)
        text = done.stdout + done.stderr
        (OUT / f"{program.name}.log").write_text(text)
        summary = [line for line in text.splitlines()
                   if re.match(r"\[  (PASSED|FAILED|SKIPPED) +\]", line)]
        failures = re.findall(r"^\S+:\d+: Failure\n(?:(?!\[ ).*\n){1,12}", text, re.M)
        say(f"{program.name}: exit {done.returncode}\n  " + "\n  ".join(summary or [text[-1000:]]))
        if failures:
            say("".join(failures[:20]))
        skipped = unexpected_skips(text)
        if skipped:
            say("skipped, and should not have been:\n  " + "\n  ".join(skipped))
        good = done.returncode == 0 and not skipped
        if not good:
            failed.append(program.name)
        passed = re.findall(r"^\[       OK \]", text, re.M)
        emit(f"{'ok' if good else 'FAILED'} {program.name} {time.monotonic() - begin:.0f} "
             f"{len(passed)} passed, {len(skips(text))} skipped")
    expect(not failed, f"failed: {failed}")


STAGES = {
    "first": [host_is_stock, install, doctor, up, desktop, confinement, attached, supervisor_dies,
              restart_keeps_desktops, stop_and_start, keeper_dies],
    "second": [up_again_after_boot, confinement, attached, denials, stop_unit, down],
}
if (PAYLOAD / "source-directory").exists():
    STAGES = {"first": [host_is_stock, system_tests]}


def collect(node):
    (OUT / "journal.log").write_text(run("journalctl", "--boot", "--no-pager", check=False))
    (OUT / "node.log").write_text(node.logs())
    run("tar", "-cf", OUT_DISK, "-C", str(OUT), ".", check=False)


def main():
    stage = STAGE.read_text().strip() if STAGE.exists() else "first"
    OUT.mkdir(exist_ok=True)
    os.environ.setdefault("HOME", "/root")
    node = Node()
    emit(f"boot {stage}")
    good = True
    for step in STAGES[stage]:
        name = step.__name__.replace("_", "-")
        emit(f"step {name}")
        begin = time.monotonic()
        try:
            step(node)
            emit(f"ok {name} {time.monotonic() - begin:.0f}")
        except Exception:  # noqa: BLE001 - whatever went wrong, the host is to hear of it
            traceback.print_exc(file=sys.stdout)
            emit(f"FAILED {name}")
            good = False
            break
    if not good:
        say(node.logs())
    collect(node)
    if good and stage == "first" and "second" in STAGES:
        STAGE.write_text("second\n")
        emit("reboot")
        run("systemctl", "reboot")
    else:
        emit("done" if good else "failed")
        run("systemctl", "poweroff")


if __name__ == "__main__":
    main()
