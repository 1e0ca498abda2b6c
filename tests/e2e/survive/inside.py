"""What makes up one desktop is killed: it ends in a named state, and nothing leaks."""

from farm import Client, Failed, say, wait_for
from survive.processes import descendants, kill, nxagents_of, processes


def reach(farm, desktop, word, may_fail=True, seconds=90):
    """The spare desktop comes to the state that was asked for; where a start may fail it has a
    reason, and is asked for again. Returns the reasons."""
    reasons = []

    def probe():
        facts = desktop.facts()
        if facts["state"] == "failed":
            if not facts["reason"]:
                raise Failed("failed without a reason")
            first = facts["reason"].splitlines()[0]
            if not may_fail or len(reasons) > 1:
                raise Failed(f"it failed, {len(reasons)} times before: {first}")
            if word == "running":
                reasons.append(first)
                farm.node.panal("desktop", "start", "--no-wait", desktop.name)
                return False
            # It ended before panald knew that it should.
            reasons.append(first)
            return True
        return facts["state"] == word and (word != "running" or facts.get("pid"))

    wait_for(f"{desktop.name} {word}", probe, seconds)
    return reasons


def kill_agent(farm, _):
    """The desktop has ended, with a reason, and is started again because it is wanted."""
    seat = farm.seats[-1]
    last = seat.pid()
    kill(last)
    wait_for("another init", lambda: seat.facts()["state"] == "running" and
             seat.facts().get("pid") not in (None, last), 60)
    farm.nothing_left()
    seat.connect()
    seat.type("reborn")
    for _ in range(2):
        last = seat.pid()
        kill(last)
        wait_for("its end or another init", lambda: seat.facts()["state"] == "failed" or (
            seat.facts()["state"] == "running" and seat.facts().get("pid") not in (None, last)), 60)
    facts = wait_for("failed", lambda: seat.facts()["state"] == "failed" and seat.facts(), 60)
    if "init ended" not in facts["reason"]:
        raise Failed(f"the reason does not say what happened: {facts['reason']}")
    seat.leave(Client.close)
    farm.nothing_left()
    farm.node.panal("desktop", "start", seat.name)
    seat.connect()
    seat.type("thrice")
    return f"reason given: {facts['reason']}"


def kill_nxagent(farm, _):
    """The session ends; the next connect makes another in the same desktop."""
    seat = farm.seats[0]
    init = seat.pid()
    victims = nxagents_of(seat.id)
    if not victims:
        raise Failed("no nxagent found")
    kill(*victims)
    wait_for("the session's end", seat.session("ended", "none"), 60)
    if seat.client.process.poll() is None:
        seat.leave(Client.close)
    seat.connect()
    seat.type("renewed")
    if seat.pid() != init:
        raise Failed("the desktop was started anew; only its session had to be")


def kill_prewarm(farm, _):
    """Whatever of a pre-warm dies, the desktop is usable."""
    for victim in ("Xvfb", "nxproxy", "panal-prewarm"):
        farm.node.panal("desktop", "start", farm.spare.name)
        panald = farm.service("panald")

        def find(victim=victim, panald=panald):
            table = processes()
            return [p for p in descendants(panald) if table.get(p, (0, ""))[1] == victim]

        try:
            kill(*wait_for(f"a pre-warming {victim}", find, 20, 0.01))
        except Failed:
            if not farm.spare.session("suspended")():
                raise
            say(f"note: the pre-warm was over before {victim} was seen")
        farm.spare.connect()
        farm.spare.type("warm")
        farm.spare.leave(Client.close)
        farm.node.panal("desktop", "stop", farm.spare.name)
        farm.nothing_left()


def kill_spawner(farm, _):
    """Spawners killed as soon as a start has one at work."""
    for _ in range(2):
        farm.node.panal("desktop", "start", "--no-wait", farm.spare.name)
        wait_for("a spawner at work", lambda: farm.spare.facts()["state"] in (
            "starting", "running", "failed"), 30, 0.001)
        kill(*farm.spawners())
        for reason in reach(farm, farm.spare, "running"):
            say(f"note: the start failed: {reason}")
        farm.nothing_left()
        farm.node.panal("desktop", "stop", farm.spare.name)
        farm.nothing_left()
