"""A certificate for a router is trusted by whoever trusts the controller."""

import base64
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jumpstarter.config.tls import TLSConfigV1Alpha1

from jumpstarter_controller.certificates import FilePair, KeptPair, Reloading, kept_hosts
from jumpstarter_controller.certificates_test import connects, serving
from jumpstarter_controller.issue import main


async def test_who_trusts_the_controller_trusts_the_router(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "router"
    controller = KeptPair(data, kept_hosts("lab.example.com"), lambda: datetime.now(UTC))
    own = controller.current()

    assert main(["--data", str(data), "--out", str(out), "localhost", "10.1.2.3"]) == 0

    certificate, key = (Path(line) for line in capsys.readouterr().out.splitlines())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert controller.current() == own
    tls = TLSConfigV1Alpha1(ca=base64.b64encode(controller.ca.encode()).decode())
    async with serving(Reloading(FilePair(certificate, key)).credentials()) as port:
        assert await connects(port, tls, "localhost")
        assert not await connects(port, tls, "127.0.0.1")


@pytest.mark.parametrize("name", ["data", "none"])
def test_what_cannot_be_is_told_in_one_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    KeptPair(tmp_path / "data", kept_hosts("x"), lambda: datetime.now(UTC)).current()
    (tmp_path / "file").write_text("")
    words = ["--data", str(tmp_path / name), "--out", str(tmp_path / "file" / "router"), "host"]

    assert main(words) == 1

    assert len(capsys.readouterr().err.splitlines()) == 1
