"""Every process of a node is killed, one after the other, under desktops that people use.

usage: survival.py [--desktops N] [--points N] [--seed N] [--target SECONDS] [--record]
                   [--only NAME...]

One node, N desktops each with a live client on a screen of its own. Every scenario says what went
on, and what came back by itself; after each one nothing may be left that no desktop owns. The
scenarios are in survive/. By hand, before a release, as it is recorded in last-survival.md:

  scripts/lab python3 tests/e2e/survival.py --desktops 10 --points 20 --target 2 --record

  --points N        each victim is killed at random points of N starts and of N stops (default: 1,
                    so twice)
  --target SECONDS  the most that owning all desktops again may take (default: 10, with a machine
                    that runs other tests beside it)
  --record          writes last-survival.md
"""

import argparse
import random
import sys
import time

from farm import conduct, say
from survive.attended import Farm
from survive.brokers import kill_broker, kill_broker_worker
from survive.daemons import kill_panald, kill_postgres, kill_supervisor, readopt_time
from survive.inside import kill_agent, kill_nxagent, kill_prewarm, kill_spawner
from survive.points import random_points
from survive.reboots import reboot
from survive.record import Record
from survive.secrecy import no_secret_shown

# The random points are last: they let most people go.
SCENARIOS = (no_secret_shown, kill_panald, readopt_time, kill_supervisor, kill_broker_worker,
             kill_broker, kill_postgres, kill_nxagent, kill_prewarm, kill_spawner, kill_agent,
             reboot, random_points)


def run_all(farm, options):
    farm.set_up(options.desktops)
    farm.connect_all()
    for seat in farm.seats:
        seat.type("hello")
    for scenario in SCENARIOS:
        name = scenario.__name__
        if name not in options.only:
            continue
        began = time.monotonic()
        say(f"{name}: {scenario.__doc__.splitlines()[0]}")
        note = scenario(farm, options) or ""
        farm.wait_well()
        farm.nothing_left()
        took = time.monotonic() - began
        options.record.scenario(name, took, note)
        say(f"{name}: passed in {took:.1f} s" + (f"; {note}" if note else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="icewm")
    parser.add_argument("--desktops", type=int, default=4)
    parser.add_argument("--points", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--target", type=float)
    parser.add_argument("--record", dest="record_file", action="store_true")
    parser.add_argument("--only", nargs="+", default=[s.__name__ for s in SCENARIOS])
    options = parser.parse_args()
    options.record = Record(options)
    say(f"survival: {options.desktops} desktops, {options.points} random points of starts and of "
        f"stops, seed {options.seed}")
    farm = Farm(options.image)
    status = conduct("survival", farm.node, lambda: run_all(farm, options),
                     before_down=[farm.close])
    if options.record_file:
        options.record.write(status == 0)
    return status


if __name__ == "__main__":
    sys.exit(main())
