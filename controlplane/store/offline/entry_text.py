"""An entry of the log in one line: what it asks of the store, without what is kept secret.

Values are told by their size, password and token hashes not at all.
"""

from podling.controlplane.raft import configuration_entry
from podling.controlplane.raft.messages import Entry, EntryKind
from podling.controlplane.raft.quorum import Configuration
from podling.controlplane.replica.members import membership
from podling.controlplane.replica.proposals import UnknownEnvelope, command_of
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.commands import Command, CommandError
from podling.controlplane.store.machine.later_commands import OnBehalf
from podling.controlplane.store.requests import (
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    Operation,
    PutRequest,
    RangeRequest,
    TxnRequest,
)

_SECRET = "hash"
_SIGNS = {
    CompareResult.EQUAL: "=",
    CompareResult.GREATER: ">",
    CompareResult.LESS: "<",
    CompareResult.NOT_EQUAL: "!=",
}


def describe_entry(entry: Entry) -> str:
    """What the entry says; for bytes that cannot be read, why."""
    try:
        if entry.kind is EntryKind.COMMAND:
            return describe_command(commands.decode(command_of(entry.data)))
        if entry.kind is EntryKind.CONFIGURATION:
            return describe_configuration(configuration_entry.decode(entry.data))
    except (CommandError, UnknownEnvelope, configuration_entry.UnknownConfiguration) as error:
        return f"unreadable: {error}"
    return "a leader's first entry"


def describe_command(command: Command | Operation) -> str:
    if isinstance(command, OnBehalf):
        return f"{describe_command(command.command)} by {command.who.user}"
    if isinstance(command, PutRequest):
        lease = f" lease {command.lease:x}" if command.lease else ""
        return f"put {_text(command.key)} ({len(command.value)} bytes){lease}"
    if isinstance(command, DeleteRangeRequest):
        return f"delete {_keys(command.key, command.range_end)}"
    if isinstance(command, RangeRequest):
        return f"range {_keys(command.key, command.range_end)}"
    if isinstance(command, TxnRequest):
        return _describe_txn(command)
    name = type(command).__name__.removesuffix("Request")
    fields = [
        f"{field}={_text(value) if isinstance(value, bytes) else value}"
        for field, value in command._asdict().items()
        if _SECRET not in field or isinstance(value, int)
    ]
    return " ".join([name, *fields])


def describe_configuration(configuration: Configuration) -> str:
    groups = {
        "voters": configuration.voters,
        "outgoing voters": configuration.outgoing,
        "learners": configuration.learners,
    }
    names = _names(configuration)
    told = [
        f"{what} {', '.join(names.get(each, f'{each:x}') for each in sorted(members))}"
        for what, members in groups.items()
        if members
    ]
    return "; ".join(told) or "no members"


def _names(configuration: Configuration) -> dict[int, str]:
    try:
        known = membership.decode(configuration.context) if configuration.context else None
    except membership.UnknownMembership:
        return {}
    return {
        number: f"{number:x} ({', '.join([member.name, *member.peer_urls]).removeprefix(', ')})"
        for number, member in (known.members.items() if known else ())
    }


def _describe_txn(txn: TxnRequest) -> str:
    compares = [
        f"{each.target.name.lower()} of {_keys(each.key, each.range_end)} "
        f"{_SIGNS[each.result]} {_operand(each.target, each.operand)}"
        for each in txn.compare
    ]
    condition = f"if {' and '.join(compares)} then " if compares else ""
    success = ", ".join(map(describe_command, txn.success)) or "nothing"
    failure = f" else {', '.join(map(describe_command, txn.failure))}" if txn.failure else ""
    return f"txn {condition}{success}{failure}"


def _operand(target: CompareTarget, operand: int | bytes) -> str:
    if isinstance(operand, bytes):
        return f"({len(operand)} bytes)"
    return f"{operand:x}" if target is CompareTarget.LEASE else str(operand)


def _keys(key: bytes, range_end: bytes) -> str:
    return f"[{_text(key)}, {_text(range_end)})" if range_end else _text(key)


def _text(data: bytes) -> str:
    """Printable, on one line, and the same for the same bytes only."""
    return repr(data)[2:-1]
