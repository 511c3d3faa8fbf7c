"""What a lab says when it is ready: where it is, and what to type next. Pure."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from jumpstarter_cli.addresses import parse_address

_FOR_OTHERS = (
    "  jmp lab up --grpc 0.0.0.0:8082 --endpoint HOST:8082 "
    "--router 0.0.0.0:8083 --router-endpoint HOST:8083"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A lab that is ready; `admin_file` is None where commands find it by themselves."""

    endpoint: str
    router: str
    login: str | None
    data: Path
    admin_file: Path | None


def next_steps(ready: Ready) -> str:
    """Return the text; its first line is for programs that wait for it."""
    lines = [
        f"Lab ready: controller {ready.endpoint}, router {ready.router}",
        f"Data: {ready.data}",
    ]
    if ready.login is not None:
        lines.append(f"Login and health: http://{ready.login}/ and http://{ready.login}/readyz")
    lines += ["", "Next, in another terminal:"]
    if ready.admin_file is not None:
        lines.append(f"  export JMP_ADMIN_CONFIG={shlex.quote(str(ready.admin_file))}")
    lines += [
        "  jmp lab add-exporter exporter.yaml -l board=demo   # fills in an exporter's file",
        "  jmp run --exporter-config exporter.yaml            # runs it; goes on until Ctrl-C",
        "",
        "And in a third one:",
        *([lines[-1]] if ready.admin_file is not None else []),
        "  jmp lab add-client me                              # makes a client, the current one",
        "  jmp shell -l board=demo                            # leases the device; `j` uses it",
    ]
    if parse_address(ready.endpoint, "endpoint").is_local:
        lines += [
            "",
            "Only this machine reaches this lab. For others, say where it listens and is found:",
            _FOR_OTHERS,
        ]
    return "\n".join(lines)
