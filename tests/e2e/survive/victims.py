"""Who is killed at random points (points.py)."""

import dataclasses
from typing import Callable

from survive.processes import descendants, inits_of, kill, named, nxagents_of
from survive.reboots import ours, pull_the_plug


@dataclasses.dataclass(frozen=True)
class Victim:
    name: str
    find: Callable  # farm -> its processes at that moment
    kill: Callable = lambda farm, pids: kill(*pids)
    start_seconds: float = 0  # span of a start in which it is killed; 0: as long as one takes
    inside: bool = False  # it is a part of the desktop, and not always there
    may_fail: bool = False  # the start may end as failed, with a reason


def service(name):
    return lambda farm: {farm.service(name)} - {None}


def database(farm):
    server = farm.service("postgres")
    return {server, *descendants(server)} if server else set()


VICTIMS = (
    Victim("panald", service("panald")),
    Victim("spawners", lambda farm: farm.spawners(), may_fail=True),
    Victim("broker worker", lambda farm: set(sorted(farm.workers())[:1])),
    Victim("broker", lambda farm: named("panal-broker")),
    # Its end counts: the third within 5 minutes is not started again.
    Victim("agent", lambda farm: inits_of(farm.spare.id), inside=True, may_fail=True),
    Victim("nxagent", lambda farm: nxagents_of(farm.spare.id), inside=True, start_seconds=4),
    Victim("postgres", database),
    Victim("supervisor", service("supervisor")),
    Victim("everything", lambda farm: ours(), kill=lambda farm, _: pull_the_plug(farm)),
)
