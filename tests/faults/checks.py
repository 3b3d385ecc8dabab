"""What is promised beside linearizability: watches that miss nothing, leases that keep their word,
members that all have the same."""

from collections.abc import Sequence

from podling.controlplane.store.key_values import Event
from podling.simulate.store_model import Timeline
from tests.faults.workload import LEASE_TTL, Leased, Watched


def check_watch(watched: Watched, timeline: Timeline, first: int = 2) -> None:
    """Every change from revision `first` on, once and in order, each with what was before it."""
    expected = [
        Event(kv, next(iter(timeline.range(key, b"", revision - 1)), None), not kv.version)
        for revision in range(first, timeline.revision + 1)
        for key, kv in sorted(timeline.changed_at(revision).items())
    ]
    told = sorted(watched.events, key=lambda event: (event.kv.mod_revision, event.kv.key))
    order = [event.kv.mod_revision for event in watched.events]
    assert order == sorted(order), f"{watched.name} was told things out of order: {order}"
    for one, other in zip(expected, told, strict=False):
        assert one == other, f"{watched.name} was told {other}, but next came {one}"
    assert len(told) == len(expected), (
        f"{watched.name} was told {len(told)} of {len(expected)} changes; the last: {told[-1:]}"
    )


def check_leases(leases: Sequence[Leased], watched: Sequence[Watched]) -> None:
    """No key goes before its lease's time-to-live after the last renewal that succeeded."""
    gone: dict[bytes, float] = {}
    for watch in watched:
        for event, arrived in zip(watch.events, watch.arrived, strict=True):
            if event.deleted:
                gone[event.kv.key] = min(arrived, gone.get(event.kv.key, arrived))
    for lease in leases:
        if lease.key in gone and not lease.revoked:
            after = gone[lease.key] - lease.renewed
            assert after >= LEASE_TTL, (
                f"lease {lease.id} of {LEASE_TTL} s was gone {after:.3f} s after its last renewal"
            )
