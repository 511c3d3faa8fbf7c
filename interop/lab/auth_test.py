"""Lane auth-logging of README.md, by its identifiers, and a token that is no longer good."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from jumpstarter_controller.data_directory import TOKEN_KEY
from jumpstarter_controller.keys import kept_key
from jumpstarter_controller.tokens import Kind, Subject, sign

from .processes import Site, running_site
from .releases import Release, eventually

pytestmark = pytest.mark.timeout(150)

MARKER = "should-never-be-logged"
LOG_SECONDS = 120.0


@pytest.fixture(scope="module")
async def site(
    anyio_backend: str,  # noqa: ARG001 - the loop
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[Site]:
    async with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def broken_token() -> str:
    """Return what looks like a token."""
    parts = ({"alg": "ES256"}, {"iss": "nobody", "sub": MARKER})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), MARKER])


def break_token(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    document["token"] = broken_token()
    file.write_text(yaml.safe_dump(document))


def expired(data: Path, token: str) -> str:
    """Return a token like this one that was good until yesterday."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    kind, namespace, name, uid = claims["sub"].split(":")
    subject = Subject(
        kind=Kind(kind.capitalize()),
        namespace=namespace,
        name=name,
        uid=uid,
        generation=claims["gen"],
    )
    began = datetime.now(UTC) - timedelta(days=2)
    return sign(kept_key(data / TOKEN_KEY), subject, began, timedelta(days=1)).token


def lines(site: Site, words: str) -> list[str]:
    """Return the lines of the log that have these words."""
    return [line for line in site.said.splitlines() if words in line]


@asynccontextmanager
async def logging_peer(site: Site, words: str) -> AsyncGenerator[None]:
    """Check that the body leads to a new line with these words, which tells the peer."""
    before = len(lines(site, words))

    async def has_more() -> bool:
        return len(lines(site, words)) > before

    yield
    assert await eventually(has_more, LOG_SECONDS)
    assert '"peer"' in lines(site, words)[-1]
    assert MARKER not in site.said


async def test_auth_1_a_client_with_a_broken_token(site: Site, caller: Release):
    user = await site.bench.user(caller)
    break_token(site.bench.home.clients / f"{user.name}.yaml")
    async with logging_peer(site, "client authentication failed"):
        assert (await user.does(user.ask("get", "exporters"))).code != 0


async def test_auth_2_an_exporter_with_a_broken_token(site: Site, offering: Release):
    exporter = await site.bench.exporter(offering)
    break_token(exporter.file)
    async with exporter.started(), logging_peer(site, "exporter authentication failed"):
        pass


async def test_the_message_of_an_expired_token(site: Site, caller: Release):
    """Programs of release 0.9.0 offer a login when the text has this word."""
    user = await site.bench.user(caller)
    file = site.bench.home.clients / f"{user.name}.yaml"
    document = yaml.safe_load(file.read_text())
    document["token"] = expired(site.data, document["token"])
    file.write_text(yaml.safe_dump(document))
    done = await user.does(user.ask("get", "exporters"))
    assert done.code != 0
    assert "expired" in " ".join(done.said.split())
