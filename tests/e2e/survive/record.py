"""tests/e2e/last-survival.md: what a long run by hand has shown."""

import collections
import datetime
import platform
import subprocess
import time

from farm import SOURCE, say

FILE = SOURCE / "tests/e2e/last-survival.md"


def git(*words):
    return subprocess.run(["git", "-c", "safe.directory=*", "-C", SOURCE, *words],
                          capture_output=True, text=True, check=True).stdout.strip()


def commit_now():
    changed = git("status", "--porcelain", "--untracked-files=no")
    head = git("rev-parse", "--short=12", "HEAD")
    return head + (" with changes not committed" if changed else "")


class Record:
    def __init__(self, options):
        self.options = options
        self.begun, self.clock = datetime.datetime.utcnow(), time.monotonic()
        self.commit = commit_now() if options.record_file else ""
        self.readoption = "not measured"
        self.points = collections.defaultdict(collections.Counter)  # (victim, verb): states
        self.hits = collections.Counter()  # of them inside of the operation
        self.reasons = collections.defaultdict(collections.Counter)
        self.scenarios = []

    def readopted(self, desktops, seconds, bound):
        self.readoption = f"{desktops} desktops in {seconds:.2f} s (at most {bound:g} are allowed)"

    def point(self, victim, verb, state, inside, reasons):
        self.points[victim, verb][state] += 1
        self.hits[victim, verb] += inside
        self.reasons[victim].update(reasons)

    def scenario(self, name, seconds, note):
        self.scenarios.append((name, seconds, note))

    def rows(self):
        for (victim, verb), states in self.points.items():
            words = "; ".join(f"{state}: {n}" for state, n in states.most_common())
            yield f"| {victim} | {verb} | {states.total()} | {self.hits[victim, verb]} | {words} |"

    def write(self, good):
        options = self.options
        failures = "\n".join(f"- {victim}, {n} times: {reason}"
                             for victim, reasons in self.reasons.items()
                             for reason, n in reasons.items()) or "None."
        scenarios = "\n".join(f"| {name} | {seconds:.0f} s | {note} |"
                              for name, seconds, note in self.scenarios)
        points = "\n".join(sorted(self.rows()))
        FILE.write_text(f"""# The last long run of tests/e2e/survival.py

Written by the command itself.

| | |
|---|---|
| begun | {self.begun:%Y-%m-%d %H:%M} UTC |
| commit | {self.commit} |
| result | {"passed" if good else "FAILED"} |
| duration | {time.monotonic() - self.clock:.0f} s |
| command | --desktops {options.desktops} --points {options.points} --seed {options.seed} |
| machine | Linux {platform.release()} {platform.machine()} |
| owned again after a killed panald | {self.readoption} |

| scenario | took | showed |
|---|---|---|
{scenarios}

## Random points of a start and a stop

Each time the desktop came to the state that was asked for, nothing was left behind, and the
desktops beside it were the same. "Inside" are those that fell into the operation (or into the
pre-warm after a start); the state is the store's at that moment.

| killed | in a | points | inside | states |
|---|---|---|---|---|
{points}

Starts that ended as `failed`, with their reasons, and were asked for again:

{failures}
""")
        say(f"written: {FILE}")
