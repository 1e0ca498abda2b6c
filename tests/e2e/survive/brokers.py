"""The broker is killed: sessions suspend, and the clients that people have come back."""

from farm import Client, Failed, wait_for
from survive.processes import kill, named
from survive.seat import Return


def kill_broker_worker(farm, _):
    """Its sessions suspend and its clients come back; programs live on."""
    before = farm.picture()
    broker, returns = farm.service("broker"), Return(farm.seats)
    # Also those of a parent that has died: they serve their links to the end.
    workers = named("panal-broker") - {broker}
    if not farm.workers():
        raise Failed(f"the broker {broker} has no workers")
    kill(*workers)
    returns.wait()  # through workers that the parent made
    for seat in farm.seats:
        seat.type("worker")
    farm.same_desktops(before)
    if farm.service("broker") != broker:
        raise Failed("the broker's parent ended with its workers")
    if farm.workers() & workers or not farm.workers():
        raise Failed(f"workers before {workers}, after {farm.workers()}")


def kill_broker(farm, _):
    """The parent alone: sessions go on, the port is served again. All of it: clients return."""
    before = farm.picture()
    broker = farm.service("broker")
    kill(broker)
    farm.another("broker", broker)
    farm.wait_well()
    farm.undisturbed("fatherless", before)
    extra = farm.seats[0]
    extra.leave(Client.kill)  # and a new client gets in
    wait_for("its suspension", extra.session("suspended"), 30)
    extra.connect()
    returns, broker = Return(farm.seats), farm.service("broker")
    kill(*named("panal-broker"))
    farm.another("broker", broker)
    returns.wait()
    for seat in farm.seats:
        seat.type("broker")
    farm.same_desktops(before)
