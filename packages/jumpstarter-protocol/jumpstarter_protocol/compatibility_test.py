"""Everything that release 0.9.0 has on the wire is here too, with the same meaning.

Each package tells its descriptors in a process of its own, because one process cannot register two
different files under one name.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.text_format import MessageToString

from jumpstarter_protocol import client_pb2

# The first test to ask for the environment of the peer waits until it is made.
pytestmark = pytest.mark.timeout(300)

TELL = """
import sys
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from jumpstarter_protocol.jumpstarter.client.v1 import client_pb2
from jumpstarter_protocol.jumpstarter.v1 import common_pb2, jumpstarter_pb2
from jumpstarter_protocol.jumpstarter.v1 import kubernetes_pb2, router_pb2

files = FileDescriptorSet()
for module in (client_pb2, common_pb2, jumpstarter_pb2, kubernetes_pb2, router_pb2):
    module.DESCRIPTOR.CopyToProto(files.file.add())
sys.stdout.buffer.write(files.SerializeToString())
"""

CLIENT = client_pb2.DESCRIPTOR.name
JUMPSTARTER = "jumpstarter/v1/jumpstarter.proto"
FILES = (
    CLIENT,
    JUMPSTARTER,
    "jumpstarter/v1/common.proto",
    "jumpstarter/v1/kubernetes.proto",
    "jumpstarter/v1/router.proto",
)
PARTS = (
    *("message_type", "nested_type", "field", "oneof_decl"),
    *("enum_type", "value", "service", "method"),
)

Facts = dict[str, dict[str, str]]


def facts(thing: Message, path: str) -> Iterator[tuple[str, str]]:
    """Yield, for all in `thing` that has a name, its path and what a peer could notice about it.

    Each is told without its parts, so that parts may be added and none may change.
    """
    bare = type(thing)()
    bare.CopyFrom(thing)
    kinds = [field.name for field, _ in thing.ListFields() if field.name in PARTS]
    for kind in kinds:
        bare.ClearField(kind)
    yield path, MessageToString(bare, as_one_line=True)
    for kind in kinds:
        for part in getattr(thing, kind):
            yield from facts(part, f"{path} {kind} {part.name}")


def describe(interpreter: Path, environ: Mapping[str, str] = os.environ) -> Facts:
    """Return the facts of each file that the package beside `interpreter` registers.

    Left out are imports and file options: they steer code generators and nothing else.
    """
    argv = [str(interpreter), "-I", "-c", TELL]
    done = subprocess.run(argv, env=environ, stdout=subprocess.PIPE, check=True)
    described: Facts = {}
    for file in FileDescriptorSet.FromString(done.stdout).file:
        file.ClearField("dependency")
        file.ClearField("options")
        described[file.name] = dict(facts(file, file.package))
    return described


@pytest.fixture(scope="module")
def ours() -> Facts:
    return describe(Path(sys.executable))


@pytest.fixture(scope="module")
def theirs(peer_interpreter: Path) -> Facts:
    return describe(peer_interpreter)


def test_the_release_registers_the_files_compared_here(theirs: Facts) -> None:
    assert sorted(theirs) == sorted(FILES)


@pytest.mark.parametrize("file", FILES)
def test_all_of_the_release_is_unchanged(file: str, ours: Facts, theirs: Facts) -> None:
    assert {path: ours[file].get(path) for path in theirs[file]} == theirs[file]


@pytest.mark.parametrize(
    ("file", "path", "fact"),
    [
        (
            JUMPSTARTER,
            "jumpstarter.v1 service ControllerService method AuditStream",
            "client_streaming: true",
        ),
        (
            JUMPSTARTER,
            "jumpstarter.v1 message_type UnregisterRequest field reason",
            "number: 2",
        ),
        (
            JUMPSTARTER,
            "jumpstarter.v1 message_type StatusResponse field lease_name",
            "proto3_optional: true",
        ),
        (
            CLIENT,
            "jumpstarter.client.v1 service ClientService method RotateToken",
            '[google.api.http] { post: "/v1/{parent=namespaces/*}/rotate-token"',
        ),
    ],
)
def test_the_comparison_sees_what_a_peer_could_notice(
    file: str, path: str, fact: str, theirs: Facts
) -> None:
    assert fact in theirs[file][path]


def test_the_pure_python_runtime_builds_the_same_descriptors(ours: Facts) -> None:
    environ = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}

    assert describe(Path(sys.executable), environ) == ours
