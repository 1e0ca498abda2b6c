"""A node with people at its desktops."""

import time

from farm import Failed, Node, wait_for
from survive.processes import (GROUPS, alive, descendants, in_group, inits_of, kill, monitors_of,
                               nxagents_of, processes)
from survive.residue import residue
from survive.seat import Seat
from survive.store import Store


class Farm:
    def __init__(self, image):
        self.image = image
        self.node = Node()
        self.store = Store(self.node)
        self.seats = []
        self.spare = None

    def set_up(self, count):
        self.node.panal("up")
        self.node.panal("image", "build", self.image)
        self.seats = [Seat(self, number, persistent=number == 1) for number in range(count)]
        self.spare = Seat(self, count)  # nobody sits there: it is started and stopped
        everybody = [seat.name for seat in (*self.seats, self.spare)]
        self.node.panal("desktop", "start", *everybody)  # makes the homes
        self.node.panal("desktop", "stop", *everybody)
        for seat in (*self.seats, self.spare):
            seat.plant()
        self.node.panal("desktop", "start", *[seat.name for seat in self.seats])

    # --- services ---------------------------------------------------------------------------------

    def service(self, name):
        """The pid of a living service by its pid file, or None."""
        try:
            pid = int((self.node.run_dir / f"supervisor/{name}.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None
        return pid if alive(pid) else None

    def spawners(self):
        table = processes()
        return {p for p in descendants(self.service("panald") or 0) if table.get(p, (0, ""))[1]
                == "panal-spawner"} - in_group(f"{GROUPS}-monitor/*")

    def workers(self):
        """The broker's."""
        broker = self.service("broker")
        return {pid for pid, (parent, _) in processes().items() if parent == broker}

    def another(self, name, before, seconds=60):
        return wait_for(f"another {name}",
                        lambda: (p := self.service(name)) and p != before and p, seconds, 0.02)

    def deaths_in_a_row(self):
        """The most that the supervisor has counted of one service."""
        counts = [int(file.read_text().split()[0])
                  for file in (self.node.run_dir / "supervisor").glob("*.trouble")]
        return max(counts, default=0)

    def patient_supervisor(self):
        """A new one has not seen the earlier deaths, so it does not wait longer each time."""
        old = self.service("supervisor")
        kill(old)
        wait_for("a dead supervisor", lambda: not alive(old), 10, 0.01)
        self.node.panal("up")

    def wait_well(self, seconds=90):
        wait_for("a node where all is well",
                 lambda: self.node.panal("status", check=False).returncode == 0, seconds)

    # --- people and their desktops ----------------------------------------------------------------

    def inits(self):
        return {seat.name: seat.pid() for seat in self.seats}

    def connect_all(self):
        for seat in self.seats:
            seat.ensure_client()
        for seat in self.seats:
            seat.connect()

    def picture(self):
        return {"inits": self.inits(),
                "terminals": {seat.name: seat.terminal() for seat in self.seats}}

    def undisturbed(self, word, before):
        """All type on, in the desktops and through the clients that they had."""
        for seat in self.seats:
            if seat.client.process.poll() is not None:
                raise Failed(f"{seat.name}'s client ended: {seat.client.output()}")
            seat.type(word)
        self.same_desktops(before)

    def undisturbed_without_database(self, word, before):
        """As undisturbed(), seen without asking panal, which needs the database."""
        for seat in self.seats:
            if seat.client.process.poll() is not None:
                raise Failed(f"{seat.name}'s client ended: {seat.client.output()}")
            if not alive(before["inits"][seat.name]):
                raise Failed(f"{seat.name}'s init ended")
            seat.type(word)

    def same_desktops(self, before):
        self.wait_well()
        now = self.inits()
        if now != before["inits"]:
            raise Failed(f"other inits: before {before['inits']}, now {now}")
        for seat in self.seats:
            if seat.terminal() != before["terminals"][seat.name]:
                raise Failed(f"{seat.name}: another terminal was started")
        self.nothing_doubled()

    def nothing_doubled(self):
        for seat in self.seats:
            self.one_of_each(seat)
            # One that resumes is a copy for a while (docs/agent.md).
            wait_for(f"one nxagent of {seat.name}",
                     lambda seat=seat: len(nxagents_of(seat.id)) == 1, 30)

    def one_of_each(self, seat):
        """Its desktop has one init, which is the one that panald means, and one monitor."""
        inits, monitors = inits_of(seat.id), monitors_of(seat.id)
        if inits != {seat.pid()}:
            raise Failed(f"{seat.name}: its inits are {inits}, panald says {seat.pid()}")
        if len(monitors) != 1:
            raise Failed(f"{seat.name}: its monitors are {monitors}")

    def dismiss(self, seats):
        """They go, and their desktops are stopped."""
        if seats:
            self.node.panal("desktop", "stop", *[seat.name for seat in seats])
        for seat in seats:
            seat.close()
        self.seats = [seat for seat in self.seats if seat not in seats]

    # --- what may be left -------------------------------------------------------------------------

    def nothing_left(self, seconds=60):
        """Tidying may take a moment, so the last look counts."""
        until = time.monotonic() + seconds
        while (found := residue(self.node, self.service("panald"))) and time.monotonic() < until:
            time.sleep(0.3)
        if found:
            raise Failed("left behind:\n  " + "\n  ".join(found))

    def close(self):
        self.store.close()
        for seat in self.seats + [self.spare]:
            if seat is not None:
                seat.close()
