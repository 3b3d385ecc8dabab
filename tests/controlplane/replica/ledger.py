"""A state machine for tests: it remembers every command, and can be told to fail."""

import json
from collections.abc import Iterable, Iterator


class Ledger:
    """The state is the list of commands."""

    command_version = 1

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.restored = 0

    def apply(self, index: int, term: int, command: bytes) -> object:
        if command == b"raise":
            raise RuntimeError("told to fail")
        self.commands.append(command)
        return len(self.commands), command

    def snapshot(self) -> Iterator[bytes]:
        commands = list(self.commands)
        for start in range(0, len(commands), 10):
            texts = [command.decode() for command in commands[start : start + 10]]
            yield json.dumps(texts).encode()

    def load(self, chunks: Iterable[bytes]) -> list[bytes]:
        return [text.encode() for chunk in chunks for text in json.loads(chunk)]

    def take(self, commands: list[bytes]) -> None:
        self.commands = commands
        self.restored += 1
