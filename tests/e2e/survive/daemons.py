"""panald, the supervisor and the database are killed: what people do goes on."""

import os
import signal
import subprocess
import time

from farm import BIN, Client, Failed, wait_for
from survive.processes import alive, descendants, kill
from survive.store import ask_panald

# The target is 2 s for ten desktops (figure readopt.seconds); this is for a machine that runs
# whatever else beside it.
BOUND_SECONDS = 10.0


def metric(node, name):
    lines = node.panal("metrics").stdout.splitlines()
    return next(float(line.split()[1]) for line in lines if line.split()[0] == name)


def kill_panald(farm, _):
    """Sessions go on undisturbed; a new panald owns all of them again and starts nothing twice."""
    before, generations = farm.picture(), farm.store.generations()
    old = farm.service("panald")
    kill(old)
    began = time.monotonic()
    for seat in farm.seats:  # while there is no panald, or hardly one
        seat.type("orphan")

    def owned():
        done = farm.node.panal("status", "--json", check=False)
        return farm.service("panald") not in (None, old) and '"running": %d' % len(
            farm.seats) in done.stdout

    wait_for("all desktops owned again", owned, 60, 0.05)
    farm.another("panald", old)
    farm.undisturbed("adopted", before)
    for row in farm.node.json("desktop", "ls"):
        if row["name"] != farm.spare.name and (row["state"], row["session"]) != (
                "running", "connected"):
            raise Failed(f"desktop ls says {row}")
    if farm.store.generations() != generations:
        raise Failed(f"generations before {generations}, now {farm.store.generations()}")
    # Its counters began at 0 with it.
    if (starts := metric(farm.node, "panal_starts_let_through_total")) != 0:
        raise Failed(f"the new panald let {starts:.0f} starts begin")
    return f"at most {time.monotonic() - began:.1f} s with typing"


def readopt_time(farm, options):
    """panald killed: how long until all desktops are owned again, the same and connected."""
    before = farm.picture()
    wanted = {seat.id: before["inits"][seat.name] for seat in farm.seats}
    # This is about a lone death: a service that has just died waits longer for its next life.
    farm.patient_supervisor()
    old = farm.service("panald")
    kill(old)
    began = time.monotonic()

    def owned():
        answer = ask_panald(farm.node, "stats") or {"desktops": []}
        return {one["id"]: one["pid"] for one in answer["desktops"]
                if one["agent"] and one["session"] == "connected"} == wanted

    wait_for("all desktops owned again", owned, 60, 0.01)
    took = time.monotonic() - began
    if farm.service("panald") in (None, old):
        raise Failed("panald was not killed")
    rows = {row["id"]: (row["state"], row["session"]) for row in farm.node.json("desktop", "ls")}
    if any(rows[number] != ("running", "connected") for number in wanted):
        raise Failed(f"desktop ls says {rows}")
    farm.same_desktops(before)
    bound = BOUND_SECONDS if options.target is None else options.target
    options.record.readopted(len(wanted), took, bound)
    if took > bound:
        raise Failed(f"{len(wanted)} desktops owned again after {took:.2f} s, not within {bound:g}")
    return f"{len(wanted)} desktops owned again after {took:.2f} s (at most {bound:g} are allowed)"


def kill_supervisor(farm, _):
    """Nothing else dies; panal up adopts what lives."""
    before = farm.picture()
    services = {name: farm.service(name) for name in ("postgres", "panald", "broker")}
    kill(farm.service("supervisor"))
    time.sleep(0.5)
    for name, pid in services.items():
        if farm.service(name) != pid:
            raise Failed(f"{name} ended with the supervisor")
    farm.node.panal("up")
    for name, pid in services.items():
        if farm.service(name) != pid:
            raise Failed(f"panal up replaced a living {name}")
    farm.undisturbed("alone", before)
    # The adopted ones are watched: one that dies comes back.
    kill(services["broker"])
    farm.another("broker", services["broker"])
    farm.wait_well()
    farm.undisturbed("watched", before)


def login_says(farm, seat):
    """What a new client is told: (exit code, words)."""
    secret = seat.screen.directory / f"password-{seat.name}"
    done = subprocess.run(
        [str(BIN / "panal-client"), "--server", f"127.0.0.1:{farm.node.port}", "--user", seat.name,
         "--password-file", str(secret), "list"], env=seat.screen.environment,
        capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def kill_postgres(farm, _):
    """Sessions go on, new logins get a sentence, all recovers."""
    before = farm.picture()
    supervisor = farm.service("supervisor")
    os.kill(supervisor, signal.SIGSTOP)  # so that the time without a database can be looked at
    try:
        server = farm.service("postgres")
        kill(server, *descendants(server))
        wait_for("a dead database", lambda: not alive(server), 10)
        farm.undisturbed_without_database("baseless", before)
        code, words = login_says(farm, farm.seats[0])
        if code != 5 or "not available now" not in words or len(words) < 40:
            raise Failed(f"without a database a login got exit {code}: {words!r}")
        said = words.strip().splitlines()[-1]
    finally:
        os.kill(supervisor, signal.SIGCONT)
    farm.another("postgres", server)
    farm.wait_well()
    wait_for("a login", lambda: login_says(farm, farm.seats[0])[0] == 0, 60)
    # panald and the broker write and hear again.
    seat = farm.seats[0]
    seat.leave(Client.kill)
    wait_for("the suspension in the store", seat.session("suspended"), 60)
    seat.connect()
    farm.undisturbed("rebased", before)
    farm.node.panal("desktop", "start", farm.spare.name)
    farm.node.panal("desktop", "stop", farm.spare.name)
    return f"a login was told: {said}"
