import can
def test_call_bus(served):
    client = served("""
type: jumpstarter_driver_can.driver.Can
config: {channel: interop, interface: virtual}
""")
    with can.Bus(interface="virtual", channel="interop") as bus:
        client.send(can.Message(arbitration_id=0x123, data=[1,2,3]))
        m = bus.recv(5)
        assert m.arbitration_id == 0x123 and m.data == bytes([1,2,3])
        bus.send(can.Message(arbitration_id=0x321, data=b"abc"))
        m = client.recv(5)
        assert m.arbitration_id == 0x321 and m.data == b"abc"
        print(client.protocol, client.state, client.channel_info)
        task = client.send_periodic(can.Message(arbitration_id=5, data=b"x"), 0.05)
        assert bus.recv(5).arbitration_id == 5
        assert bus.recv(5).arbitration_id == 5
        task.stop()
        client.set_filters([{"can_id": 7, "can_mask": 0x7ff}])
        bus.send(can.Message(arbitration_id=6, data=b"abc"))
        bus.send(can.Message(arbitration_id=7, data=b"abd"))
        assert client.recv(5).data == b"abd"
def test_call_isotp(served):
    E="""
type: jumpstarter_driver_can.driver.IsoTpPython
config:
  channel: tp
  interface: virtual
  address: {{rxid: {}, txid: {}}}
  params: {{max_frame_size: 2048, blocking_send: false, can_fd: true}}
"""
    a = served(E.format(1,2)); b = served(E.format(2,1))
    a.start(); b.start()
    a.send(b"x"*300)
    assert b.recv(block=True, timeout=5) == b"x"*300
    assert not a.transmitting()
    a.stop(); b.stop()
