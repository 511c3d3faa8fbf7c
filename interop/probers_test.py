import opendal
def test_call(served, tmp_path):
    s = tmp_path / "probe-rs"
    s.write_text('#!/bin/sh\necho "$@" >> %s/log\ncase $1 in read) echo "00000001 deadbeef";; download) for a; do f=$a; done; sha256sum < $f;; *) echo ok;; esac; env | grep PROBE_RS | sort >> %s/log; true' % (tmp_path,tmp_path))
    s.chmod(0o755)
    client = served(f"""
type: jumpstarter_driver_probe_rs.driver.ProbeRs
config: {{probe_rs_path: {s}, chip: RP2350, probe: "2e8a:000c", protocol: swd, speed: 4000}}
""")
    print(repr(client.info()), repr(client.reset()), repr(client.erase()))
    print(client.read(32, 0x0, 2))
    (tmp_path/"fw.elf").write_bytes(b"firmware")
    print(client.download_file(tmp_path/"fw.elf"))
    print((tmp_path/"log").read_text())
    assert 0
