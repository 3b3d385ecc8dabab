"""Runs scenario files: commands for a store's state machine, each followed by its exact output.

A file is a series of blocks, separated by blank lines. Lines that begin with # are for the reader.

    put a 1
    ----
    ok revision=2

`python -m tests.controlplane.store.interpreter --rewrite FILE...` writes the output that the
commands have now (without files: all of them); then read the diff.

Keys and values are words; `\\0` stands for the zero byte, `''` for nothing. Commands:

    put KEY VALUE [lease=N] [prev-kv] [ignore-value] [ignore-lease]
    get KEY [END] [rev=N] [limit=N] [order=DESCEND] [by=MOD] [keys-only] [count-only]
        [min-mod=N] [max-mod=N] [min-create=N] [max-create=N]
    del KEY [END] [prev-kv]
    txn                     followed by `if TARGET KEY = VALUE`, `then COMMAND`, `else COMMAND`;
                            the lines of a nested txn are indented below it
    compact N               then `sweep [N]` to free
    grant ID TTL | revoke ID | renew ID | leases | advance SECONDS | expired
    watch NAME KEY [END] [from=N] [noput] [nodelete] | take NAME | unwatch NAME
    generations KEY | history | pending | hash | reload (through a snapshot)
    as USER[@REVISION] COMMAND, and those of `interpreter_auth`
    login USER | token USER | users | alarms
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from podling.controlplane.store import request_checks
from podling.controlplane.store import requests as rq
from podling.controlplane.store.auth_requests import Identity
from podling.controlplane.store.errors import StoreError
from podling.controlplane.store.key_values import Event, KeyValue
from podling.controlplane.store.machine import commands, hashing, ranges
from podling.controlplane.store.machine.state_machine import StoreStateMachine
from podling.controlplane.store.machine.watchers import Watcher
from tests.controlplane.store.interpreter_auth import (
    describe_alarms,
    describe_auth,
    identity,
    request_of,
)

MAX_OPS = 5
"""Operations allowed in each list of a txn."""

SCENARIOS = Path(__file__).parent / "scenarios"

RELATIONS = {
    "=": rq.CompareResult.EQUAL,
    "!=": rq.CompareResult.NOT_EQUAL,
    ">": rq.CompareResult.GREATER,
    "<": rq.CompareResult.LESS,
}


class Interpreter:
    """One scenario's world: a state machine, a clock, and named watchers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.index = 0
        self.machine = self._new_machine()
        self.watchers: dict[str, Watcher] = {}
        self.who: Identity | None = None

    def _new_machine(self) -> StoreStateMachine:
        return StoreStateMachine(lambda: self.now, max_pending_bytes=1000)

    def run(self, lines: list[str]) -> str:
        """The output of one command."""
        try:
            name, *words = lines[0].split()
            if name == "as":
                return self._run_as(words[0], [" ".join(words[1:]), *lines[1:]])
            if name in ("put", "del", "txn", "compact", "grant", "revoke", "renew"):
                return self._apply(parse(lines)[0])
            request = request_of(name, words, key_range)
            if request is not None:
                return self._apply(request)
            run: Callable[..., str] = getattr(self, "do_" + name)
            return run(*words)
        except StoreError as error:
            return f"error: {error}"

    def _run_as(self, who: str, lines: list[str]) -> str:
        self.who = identity(self.machine, who)
        try:
            return self.run(lines)
        finally:
            self.who = None

    def _apply(self, request: Any) -> str:
        self.index += 1
        if isinstance(request, rq.PutRequest):
            request_checks.check_put(request)
        elif isinstance(request, rq.DeleteRangeRequest):
            request_checks.check_delete_range(request)
        elif isinstance(request, rq.TxnRequest):
            request_checks.check_txn(request, MAX_OPS)
        if self.who is not None:
            request = commands.OnBehalf(self.who, request)
        result = self.machine.apply(self.index, 1, commands.encode(request))
        return f"error: {result}" if isinstance(result, StoreError) else describe(result)

    def do_get(self, *words: str) -> str:
        request = parse_range(list(words))
        request_checks.check_range(request)
        self.machine.auth.check_read(self.who, request.key, request.range_end)
        return describe(ranges.execute(self.machine.store, request))

    def do_users(self) -> str:
        return describe_auth(self.machine, show)

    def do_alarms(self) -> str:
        return describe_alarms(self.machine.alarms.listed())

    def do_token(self, user: str) -> str:
        known = self.machine.tokens.user_of(user, self.now)
        return f"of {known}" if known else "unknown"

    def do_sweep(self, limit: str = "1000") -> str:
        done = self.machine.store.sweep(int(limit))
        return f"swept {done}, {self.machine.store.unswept} left"

    def do_advance(self, seconds: str) -> str:
        self.now += float(seconds)
        return f"now {self.now:g}"

    def do_expired(self) -> str:
        return f"expired {self.machine.leases.expired(self.now, limit=10)}"

    def do_leases(self) -> str:
        lines = [
            f"{lease.id} ttl={lease.ttl} left={self.machine.leases.remaining(lease.id, self.now)}"
            f" keys={' '.join(show(key) for key in sorted(lease.keys))}"
            for lease in self.machine.leases.by_deadline()
        ]
        return "\n".join(lines) or "none"

    def do_watch(self, name: str, *words: str) -> str:
        plain, options = split(list(words))
        key, range_end = key_range(plain)
        self.watchers[name] = self.machine.watchers.add(
            key,
            range_end,
            start_revision=int(options.get("from", 0)),
            filters=frozenset(each for each in rq.WatchFilter if each.name.lower() in options),
            on_ready=lambda: None,
        )
        return "synced" if self.watchers[name].synced else "unsynced"

    def do_unwatch(self, name: str) -> str:
        self.machine.watchers.remove(self.watchers.pop(name))
        return f"{len(self.machine.watchers)} left"

    def do_take(self, name: str) -> str:
        watcher = self.watchers[name]
        batch = self.machine.watchers.take(watcher)
        if batch is None:
            return "nothing"
        state = "synced" if watcher.synced else "unsynced"
        lines = [f"up to {batch.revision}, {state}", *map(describe_event, batch.events)]
        return "\n".join(lines)

    def do_pending(self) -> str:
        return "\n".join(
            f"{name}: {sum(map(len, each.pending))} events, "
            f"{'synced' if each.synced else 'unsynced'}, next {each.next_revision}"
            for name, each in sorted(self.watchers.items())
        )

    def do_generations(self, key: str) -> str:
        index = self.machine.store._indexes.get(word(key))
        if index is None:
            return "none"
        return ", ".join(
            "{" + ", ".join(f"{kv.mod_revision}{'' if kv.version else 't'}" for kv in life) + "}"
            for life in index.generations()
        )

    def do_history(self) -> str:
        store = self.machine.store
        lines = [
            f"{at}: " + ", ".join(describe_event(event) for event in store.events(at))
            for at in range(store.revision + 1)
            if store.events(at)
        ]
        return "\n".join(lines) or "none"

    def do_hash(self) -> str:
        return "same" if self._hash() == self._reloaded()._hash() else "differs"

    def do_reload(self) -> str:
        other = self._reloaded().machine
        self.machine.take(self.machine.load(other.snapshot()))
        return f"revision {self.machine.store.revision}"

    def _reloaded(self) -> "Interpreter":
        other = Interpreter()
        other.now = self.now
        other.machine.take(other.machine.load(self.machine.snapshot()))
        return other

    def _hash(self) -> int:
        slices = hashing.hash_kv(self.machine.store, 0)
        while True:
            try:
                next(slices)
            except StopIteration as end:
                return int(end.value)


def parse(lines: list[str]) -> tuple[Any, list[str]]:
    """The request in the first line, which a txn's own lines follow; and the lines behind it."""
    name, *words = lines[0].split()
    plain, options = split(words)
    if name == "txn":
        return parse_txn(lines)
    if name == "get":
        return parse_range(words), lines[1:]
    if name == "put":
        flags = {each.replace("-", "_"): True for each in options if each != "lease"}
        key, value = [*plain, "''"][:2]
        lease = int(options.get("lease", 0))
        return rq.PutRequest(word(key), word(value), lease, **flags), lines[1:]
    if name == "del":
        return rq.DeleteRangeRequest(*key_range(plain), "prev-kv" in options), lines[1:]
    numbers = [int(each) for each in plain]
    simple: dict[str, Callable[[], Any]] = {
        "compact": lambda: rq.CompactionRequest(numbers[0]),
        "grant": lambda: rq.LeaseGrantRequest(id=numbers[0], ttl=numbers[1]),
        "revoke": lambda: rq.LeaseRevokeRequest(numbers[0]),
        "renew": lambda: rq.LeaseKeepAliveRequest(numbers[0]),
    }
    return simple[name](), lines[1:]


def parse_txn(lines: list[str]) -> tuple[rq.TxnRequest, list[str]]:
    compare: list[rq.Compare] = []
    branches: dict[str, list[Any]] = {"then": [], "else": []}
    rest = lines[1:]
    depth = indent(rest[0]) if rest else 0
    while rest and indent(rest[0]) == depth and depth > indent(lines[0]):
        kind, _, text = rest[0].strip().partition(" ")
        if kind == "if":
            compare.append(parse_compare(text.split()))
            rest = rest[1:]
        else:
            operation, rest = parse([" " * depth + text, *rest[1:]])
            branches[kind].append(operation)
    return rq.TxnRequest(compare, branches["then"], branches["else"]), rest


def parse_compare(words: list[str]) -> rq.Compare:
    target = rq.CompareTarget[words[0].upper()]
    *plain, relation, value = words[1:]
    operand = word(value) if target == rq.CompareTarget.VALUE else int(value)
    key, range_end = key_range(plain)
    return rq.Compare(key, target, RELATIONS[relation], operand, range_end)


def parse_range(words: list[str]) -> rq.RangeRequest:
    plain, options = split(words)
    number = {key: int(value) for key, value in options.items() if value.lstrip("-").isdigit()}
    return rq.RangeRequest(
        *key_range(plain),
        limit=number.get("limit", 0),
        revision=number.get("rev", 0),
        sort_order=rq.SortOrder[options.get("order", "NONE")],
        sort_target=rq.SortTarget[options.get("by", "KEY")],
        keys_only="keys-only" in options,
        count_only="count-only" in options,
        min_mod_revision=number.get("min-mod", 0),
        max_mod_revision=number.get("max-mod", 0),
        min_create_revision=number.get("min-create", 0),
        max_create_revision=number.get("max-create", 0),
    )


FLAGS = {"prev-kv", "ignore-value", "ignore-lease", "keys-only", "count-only", "noput", "nodelete"}


def split(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Plain words, and options (`name=value` or a flag)."""
    plain, options = [], {}
    for each in words:
        name, equals, value = each.partition("=")
        if name and equals:
            options[name] = value
        elif each in FLAGS:
            options[each] = ""
        else:
            plain.append(each)
    return plain, options


def key_range(plain: list[str]) -> tuple[bytes, bytes]:
    key, range_end = [*plain, "''"][:2]
    return word(key), word(range_end)


def word(text: str) -> bytes:
    return b"" if text == "''" else text.replace("\\0", "\0").encode()


def show(data: bytes) -> str:
    return data.decode().replace("\0", "\\0") or "''"


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def describe(response: Any, prefix: str = "") -> str:
    """A response in one line, and what it contains in further ones."""
    lines: list[str] = []
    if isinstance(response, rq.RangeResponse):
        more = " more" if response.more else ""
        lines.append(f"{response.total} keys{more} revision={response.revision}")
        lines += [describe_kv(kv) for kv in response.kvs]
    elif isinstance(response, rq.PutResponse):
        lines.append(f"ok revision={response.revision}")
        if response.prev_kv is not None:
            lines.append("was " + describe_kv(response.prev_kv))
    elif isinstance(response, rq.DeleteRangeResponse):
        lines.append(f"deleted {response.deleted} revision={response.revision}")
        lines += ["was " + describe_kv(kv) for kv in response.prev_kvs]
    elif isinstance(response, rq.TxnResponse):
        outcome = "succeeded" if response.succeeded else "failed"
        lines.append(f"{outcome} revision={response.revision}")
        lines += [describe(each, "  ") for each in response.responses]
    elif isinstance(response, rq.AlarmResponse):
        lines.append(describe_alarms(list(response.alarms)))
    elif isinstance(response, int):
        lines.append(f"a token from entry {response} on")
    elif isinstance(response, rq.LeaseKeepAliveResponse):
        lines.append(f"ttl {response.ttl}")
    else:
        lines.append(f"ok revision={response.revision}")
    return "\n".join(prefix + line for text in lines for line in text.split("\n"))


def describe_kv(kv: KeyValue) -> str:
    lease = f" lease={kv.lease}" if kv.lease else ""
    return (
        f"{show(kv.key)}={show(kv.value)} create={kv.create_revision} mod={kv.mod_revision}"
        f" version={kv.version}{lease}"
    )


def describe_event(event: Event) -> str:
    was = f", was {show(event.previous.value)}" if event.previous is not None else ""
    what = "DELETE" if event.deleted else "PUT"
    value = "" if event.deleted else f"={show(event.kv.value)}"
    return f"{what} {show(event.kv.key)}{value} at {event.kv.mod_revision}{was}"


def blocks(text: str) -> Iterator[tuple[list[str], list[str], str]]:
    """(comment lines, command lines, expected output) of each block."""
    for block in text.strip("\n").split("\n\n"):
        given, _, expected = block.partition("\n----")
        lines = given.split("\n")
        notes = [line for line in lines if line.startswith("#")]
        yield notes, [line for line in lines if not line.startswith("#")], expected.strip("\n")


def replay(text: str) -> str:
    """The scenario with the output that its commands have now."""
    world = Interpreter()
    written = []
    for notes, given, _ in blocks(text):
        lines = [*notes, *given]
        if given:
            lines += ["----", world.run(given)]
        written.append("\n".join(lines))
    return "\n\n".join(written) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay the store's scenario files.")
    parser.add_argument("--rewrite", action="store_true", help="write what the output is now")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    differing = 0
    for path in options.files or sorted(SCENARIOS.glob("*.txt")):
        before = path.read_text()
        after = replay(before)
        differing += before != after
        if options.rewrite:
            path.write_text(after)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{differing} differ\n")
    return 0 if options.rewrite or not differing else 1


if __name__ == "__main__":
    sys.exit(main())
