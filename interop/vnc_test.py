import socket, threading
from urllib.parse import urlsplit, parse_qs
from concurrent.futures import ThreadPoolExecutor
from websockets.sync.client import connect
def test_call_session(served):
    with socket.create_server(("127.0.0.1", 0)) as l, ThreadPoolExecutor() as pool:
        def serve():
            c,_ = l.accept()
            with c:
                c.sendall(b"RFB 003.008\n")
                return c.recv(100)
        f = pool.submit(serve)
        client = served(f"""
type: jumpstarter_driver_vnc.driver.Vnc
config: {{default_encrypt: false}}
children:
  tcp:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config: {{host: 127.0.0.1, port: {l.getsockname()[1]}}}
""")
        with client.session(encrypt=False) as url:
            print(url)
            q = parse_qs(urlsplit(url).query)
            with connect(f"ws://{q['host'][0]}:{q['port'][0]}", subprotocols=["binary"]) as ws:
                assert ws.recv(10) == b"RFB 003.008\n"
                ws.send(b"RFB 003.008\n")
            assert f.result(10) == b"RFB 003.008\n"
