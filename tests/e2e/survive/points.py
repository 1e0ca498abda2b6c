"""Each process of the node is killed at random points of a desktop's start and stop."""

import random
import time

from farm import Failed, say, wait_for
from survive.inside import reach
from survive.processes import PROC, inits_of
from survive.victims import VICTIMS

VERBS = {"start": "running", "stop": "stopped"}
ATTENDED = 2  # more desktops than these would only make each reboot longer
LEAST_INSIDE = 3  # points of each verb that must have fallen inside of it


def is_inside(verb, state):
    """Whether a desktop was seen in the middle of that."""
    if state is None:
        return False
    observed, session = state
    if verb == "stop":
        return observed == "stopping"
    return observed in ("composing", "starting") or session in (
        "starting", "listening", "connected", "suspending", "resuming")


def in_words(state):
    if state is None:
        return "no database"
    return state[0] if state[0] != "running" else f"running, session {state[1]}"


class Points:
    def __init__(self, farm, options):
        self.farm, self.record = farm, options.record
        self.random = random.Random(options.seed)
        self.spans = {}
        self.count = dict.fromkeys(VERBS, 0)
        self.inside = dict.fromkeys(VERBS, 0)
        self.others = None

    # --- the desktop that is started and stopped --------------------------------------------------

    def ask(self, verb):
        self.farm.node.panal("desktop", verb, "--no-wait", self.farm.spare.name)

    def settle(self, verb, may_fail=False):
        self.farm.wait_well()
        reasons = reach(self.farm, self.farm.spare, VERBS[verb], may_fail)
        self.farm.nothing_left()
        if verb == "start":
            self.farm.one_of_each(self.farm.spare)
        return reasons

    def measure(self):
        """How long a start and a stop take here: that is when there is something to hit."""
        spare = self.farm.spare.name
        for verb in ("start", "stop"):
            self.ask(verb)
            began = time.monotonic()
            wait_for(f"a measured {verb}", lambda wanted=VERBS[verb]:
                     self.farm.store.state(spare)[0] == wanted, 60, 0.002)
            self.spans[verb] = max(0.1, 1.2 * (time.monotonic() - began))
        say("  killed within " + " and ".join(
            f"{span:.2f} s of a {verb}" for verb, span in self.spans.items()))
        self.settle("stop")

    # --- a point ----------------------------------------------------------------------------------

    def strike(self, victim, verb, delay):
        """Kills in the middle; returns (state then, whether there was anybody to kill)."""
        self.ask(verb)
        time.sleep(delay)
        pids = victim.find(self.farm)
        state = self.farm.store.state(self.farm.spare.name)
        if pids:
            victim.kill(self.farm, pids)
        if not self.farm.service("supervisor"):
            self.farm.node.panal("up")
        return state, bool(pids)

    def prepare(self, victim, verb):
        """The desktop as it must be before the verb: with the victim in it, if it is to stop."""
        self.farm.wait_well()
        if self.farm.deaths_in_a_row() > 1:
            self.farm.patient_supervisor()
        self.farm.store.state(self.farm.spare.name)  # a new connection takes its time
        if verb == "start" or not victim.inside or victim.find(self.farm):
            return
        for other in ("stop", "start"):
            self.ask(other)
            self.settle(other)
        wait_for(f"a {victim.name}", lambda: victim.find(self.farm), 60, 0.05)

    def point(self, victim, verb):
        span = verb == "start" and victim.start_seconds or self.spans[verb]
        delay = self.random.uniform(0, span)
        for _ in range(6):
            self.prepare(victim, verb)
            try:
                state, hit = self.strike(victim, verb, delay)
                failed = self.settle(verb, victim.may_fail)
            except Failed as error:
                raise Failed(f"{victim.name} killed {delay:.3f} s into a {verb}: {error}") from None
            if hit:
                break
            # Not there yet, or not any more.
            delay = delay / 2 if verb == "stop" else delay + span / 3
            other = "start" if verb == "stop" else "stop"
            self.ask(other)
            self.settle(other)
        else:
            raise Failed(f"no {victim.name} was there to be killed in a {verb}")
        self.count[verb] += 1
        self.inside[verb] += is_inside(verb, state)
        self.record.point(victim.name, verb, in_words(state), is_inside(verb, state), failed)
        if victim.name == "everything":
            self.others = self.after_reboot()
        elif now := self.changed():
            raise Failed(f"{victim.name} killed {delay:.3f} s into a {verb}: {now}")

    def changed(self):
        """What became of the desktops beside it, that must not have noticed."""
        for seat in self.farm.seats:
            init, terminal = (self.others[what][seat.name] for what in ("inits", "terminals"))
            if inits_of(seat.id) != {init}:
                return f"{seat.name} has inits {inits_of(seat.id)}, and had {init}"
            if not (PROC / str(init) / "root/proc" / terminal / "stat").exists():
                return f"{seat.name}'s terminal has ended"
        return None

    def after_reboot(self):
        """Those that were wanted are there again, and so is what runs in them."""
        farm = self.farm
        for seat in farm.seats:
            wait_for(f"{seat.name} after a reboot", lambda seat=seat:
                     seat.facts()["state"] == "running" and seat.terminal_file().exists(), 120)
        return farm.picture()

    def run(self, count):
        farm = self.farm
        farm.dismiss(farm.seats[ATTENDED:])
        self.others = farm.picture()
        clients = [seat.client for seat in farm.seats]
        self.measure()
        for number in range(count):
            for victim in self.random.sample(VICTIMS, len(VICTIMS)):
                for verb in VERBS:
                    self.point(victim, verb)
            say(f"  point {number + 1} of {count} passed for each victim; inside: {self.inside}")
        self.top_up()
        farm.wait_well()
        farm.connect_all()
        for seat in farm.seats:
            seat.type("survived")
        farm.same_desktops(self.others)
        if clients != [seat.client for seat in farm.seats]:
            raise Failed("not every client came back by itself each time")
        return ", ".join(f"{self.inside[verb]} of {n} inside a {verb}"
                         for verb, n in self.count.items())

    def top_up(self):
        """A short run may have missed the middle by chance, a longer one not."""
        panald = VICTIMS[0]
        for _ in range(10):
            if min(self.inside.values()) >= LEAST_INSIDE:
                return
            for verb in VERBS:
                self.point(panald, verb)
        raise Failed(f"too few points were inside of a start and of a stop: {self.inside}")


def random_points(farm, options):
    """Everything that can die, at random moments of starts and stops."""
    return Points(farm, options).run(options.points)
