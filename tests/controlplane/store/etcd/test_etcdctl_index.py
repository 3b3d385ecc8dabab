"""Every command that etcdctl has is run by a test, or stands here with the reason why it is not."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.controlplane.store.etcd.etcdctl import commands, needs_etcdctl

pytestmark = needs_etcdctl

ASIDE = {
    "completion bash": "asks no server",
    "completion fish": "asks no server",
    "completion powershell": "asks no server",
    "completion zsh": "asks no server",
    "help": "asks no server",
    "migrate": "reads etcd's own files",
    "snapshot restore": "reads and writes etcd's own files; see `podling store snapshot`",
    "snapshot status": "reads etcd's own files; see `podling store snapshot`",
}
TESTS = Path(__file__).resolve().parents[3]
FILES = (*Path(__file__).parent.glob("test_etcdctl*.py"), *TESTS.glob("e2e/test_store_*.py"))
CALLED = {"run", "etcdctl", "running"}


def words(call: ast.Call) -> list[str]:
    """The words of a call that are no flags, as far as they are written out."""
    texts = [
        argument.value
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return [text for text in texts if not text.startswith("-")]


def calls(path: Path) -> Iterator[list[str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            if name in CALLED:
                yield words(node)


def test_every_command_is_covered() -> None:
    run = {" ".join(called[:count]) for path in FILES for called in calls(path) for count in (1, 2)}
    missing = commands() - run - ASIDE.keys()
    assert not missing, f"no test runs etcdctl {sorted(missing)}"


def test_nothing_is_put_aside_that_is_covered_or_unknown() -> None:
    assert ASIDE.keys() <= commands()
