import subprocess
from click.testing import CliRunner
def test_call_serves(served, tmp_path, program):
    client = served(f"""
type: jumpstarter_driver_http.driver.HttpServer
config:
  root_dir: {tmp_path}/www
  host: 127.0.0.1
  port: 0
""")
    source = tmp_path / "image.bin"
    source.write_bytes(bytes(range(256)) * 9000)
    client.start()
    url = client.put_file("sub/image.bin", source)
    print(url, client.get_url(), client.get_port(), client.get_host())
    fetched = subprocess.run([program("curl"), "--fail", "--silent", url], capture_output=True, check=True).stdout
    assert fetched == source.read_bytes()
    assert list(client.storage.list("/")) == []
    client.stop()
    assert subprocess.run([program("curl"), "--fail", "--silent", url], capture_output=True).returncode == 7
