"""can: frames and ISO-TP messages over the virtual bus of python-can."""

from importlib import import_module
from typing import Any

from .conftest import Clients, Offers, Served

ENTRY = """
type: jumpstarter_driver_can.driver.Can
config: {channel: bench, interface: virtual}
"""
PATIENCE = 10

# The type checker does not have these libraries in its environment.
can: Any = import_module("can")
isotp: Any = import_module("isotp")
driver: Any = import_module("jumpstarter_driver_can.driver")


def frame(number: int, data: bytes) -> Any:
    return can.Message(arbitration_id=number, data=data, is_extended_id=False)


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-can") == {"Can", "IsoTpPython", "IsoTpSocket"}


def test_build_on_a_virtual_bus(clients: Clients):
    assert clients(ENTRY) == {"": "jumpstarter_driver_can.client.CanClient"}


def test_call_frames_go_both_ways(served: Served):
    client = served(ENTRY)
    with can.Bus(interface="virtual", channel="bench") as bus:
        client.send(frame(0x123, b"\x01\x02\x03"))
        sent = bus.recv(PATIENCE)
        assert (sent.arbitration_id, sent.data) == (0x123, b"\x01\x02\x03")
        bus.send(frame(0x321, b"abc"))
        received = client.recv(PATIENCE)
        assert (received.arbitration_id, received.data) == (0x321, b"abc")


def test_call_filter_holds_frames_back(served: Served):
    client = served(ENTRY)
    client.set_filters([{"can_id": 7, "can_mask": 0x7FF}])
    with can.Bus(interface="virtual", channel="bench") as bus:
        bus.send(frame(6, b"held back"[:8]))
        bus.send(frame(7, b"passed"))
        assert client.recv(PATIENCE).data == b"passed"


def test_call_isotp_carries_a_message_of_many_frames(served: Served):
    ends: list[Any] = []
    for rxid, txid in ((1, 2), (2, 1)):
        address = isotp.Address(rxid=rxid, txid=txid)
        end = driver.IsoTpPython(channel="tp", interface="virtual", address=address)
        ends.append(served(end))
    message = bytes(range(256))
    for end in ends:
        end.start()
    ends[0].send(message)
    assert ends[1].recv(block=True, timeout=PATIENCE) == message
    for end in ends:
        end.stop()
