"""A board that stands at the prompt of U-Boot, as seen from its serial port."""

PROMPT = b"=> "
ESCAPE = 0x1B
LINE_END = b"\r\n"

DHCP_ANSWER = {"ipaddr": "192.0.2.7", "gatewayip": "192.0.2.1", "netmask": "255.255.255.0"}


class Bootloader:
    """Answers what arrives on the serial port, and keeps its environment variables."""

    def __init__(self) -> None:
        """Start with an empty environment."""
        self.environment: dict[str, str] = {}
        self._line = b""

    def __call__(self, received: bytes) -> bytes:
        """Echo, and answer each finished line; an escape key shows the prompt again."""
        sent = b""
        for byte in received:
            if byte == ESCAPE:
                sent += LINE_END + PROMPT
            elif byte in LINE_END:
                sent += LINE_END + self._answer(self._line.decode()) + PROMPT
                self._line = b""
            else:
                self._line += bytes([byte])
                sent += bytes([byte])
        return sent

    def _answer(self, line: str) -> bytes:
        output = b""
        code = 0
        for command in filter(None, map(str.strip, line.split(";"))):
            if command == "echo $?":
                output += str(code).encode() + LINE_END
            else:
                text, code = self._run(command)
                output += text.encode() + LINE_END if text else b""
        return output

    def _run(self, command: str) -> tuple[str, int]:
        match command.split(maxsplit=2):
            case ["version"]:
                return "U-Boot 2024.01", 0
            case ["printenv", name]:
                return self._print(name)
            case ["setenv", name, *value]:
                return self._set(name, "".join(value).strip("'"))
            case ["dhcp"]:
                self.environment |= DHCP_ANSWER
                return f"DHCP client bound to address {DHCP_ANSWER['ipaddr']} (3 ms)", 0
            case _:
                return f"Unknown command '{command}' - try 'help'", 1

    def _print(self, name: str) -> tuple[str, int]:
        if name not in self.environment:
            return f'## Error: "{name}" not defined', 1
        return f"{name}={self.environment[name]}", 0

    def _set(self, name: str, value: str) -> tuple[str, int]:
        self.environment.pop(name, None)
        if value:
            self.environment[name] = value
        return "", 0
