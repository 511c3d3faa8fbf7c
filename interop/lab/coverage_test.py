"""No scenario is missing silently: README.md names a test for each identifier, or says why not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGES = HERE.parents[1] / "packages"

IDENTIFIERS = (
    *(f"core-{number:02}" for number in range(1, 34)),
    *("core-27b", "core-27c"),
    *("A1", "A2", "A3", "B1", "B2", "B3", "B4", "B5", "C1", "C2", "D1", "E1", "E2", "E3"),
    *("F1", "F2", "F3", "G1", "G2", "G3", "H1", "H2", "H3", "H4"),
    *("auth-1", "auth-2", "exit-1", "exit-2", "exit-after"),
    *(f"oc-{number}" for number in range(1, 11)),
    *("direct-listener", "dut-network", "exporterset-qemu"),
    *(f"L{number}" for number in range(1, 18)),
    *(f"S{number}" for number in range(1, 10)),
    *("controller restart while idle", "controller restart during a lease", "router restart"),
    *("back-to-back leases", "idle for more than 120 s", "beforeLease hook of 30 s"),
    *("expired token", "all pairings", "probe streams", "transfer while a shell is open"),
    *("lock contention", "P6", "P2 after the end of time", "P2 after a release"),
    "P2 after a transfer",
)
ELSEWHERE = "not here: "


def rows() -> Iterator[tuple[list[str], str]]:
    """Yield the identifiers and the tests of each line of the table."""
    for line in (HERE / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] != "identifier":
            yield cells[0].split(", "), cells[1]


NAMED = [
    test for _, tests in rows() if not tests.startswith(ELSEWHERE) for test in tests.split(", ")
]


def test_every_identifier_is_there_once():
    found = [identifier for identifiers, _ in rows() for identifier in identifiers]
    assert sorted(found) == sorted(IDENTIFIERS)


@pytest.mark.parametrize("test", NAMED)
def test_every_test_is_there(test: str):
    file, _, name = test.partition("::")
    path = (PACKAGES if "/" in file else HERE) / file
    functions = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in functions if isinstance(node, kinds)}
