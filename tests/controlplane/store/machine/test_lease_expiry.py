"""Leases that end by themselves: what is agreed on, and what a renewal in the last moment does."""

import pytest

from podling.controlplane.store import requests as rq
from podling.controlplane.store.errors import LeaseNotFound
from podling.controlplane.store.machine import commands
from podling.controlplane.store.machine.state_machine import StoreStateMachine

LEASE = 7


@pytest.fixture
def machine() -> StoreStateMachine:
    """One of version 2 with a lease and a key under it."""
    machine = StoreStateMachine(lambda: 0.0, max_pending_bytes=1000)
    do(machine, rq.LeaseGrantRequest(5, LEASE))
    do(machine, rq.LeaseKeepAliveRequest(LEASE))
    do(machine, rq.ClusterVersionRequest(commands.VERSION))
    do(machine, rq.PutRequest(b"a", b"1", lease=LEASE))
    return machine


def do(machine: StoreStateMachine, request: commands.Command) -> object:
    return machine.apply(1, 1, commands.encode(request))


def test_a_lease_that_was_not_renewed_ends_with_its_keys(machine: StoreStateMachine) -> None:
    assert do(machine, rq.LeaseExpireRequest(LEASE, 0)) == rq.LeaseExpireResponse(3, True)
    assert machine.store.get(b"a") is None
    assert isinstance(do(machine, rq.LeaseExpireRequest(LEASE, 0)), LeaseNotFound)


def test_a_renewal_before_the_end_in_the_log_counts(machine: StoreStateMachine) -> None:
    do(machine, rq.LeaseKeepAliveRequest(LEASE))

    assert do(machine, rq.LeaseExpireRequest(LEASE, 0)) == rq.LeaseExpireResponse(2, False)
    assert machine.store.get(b"a") is not None
    assert do(machine, rq.LeaseExpireRequest(LEASE, 1)) == rq.LeaseExpireResponse(3, True)


def test_a_member_restored_from_a_snapshot_knows_of_renewals(machine: StoreStateMachine) -> None:
    do(machine, rq.LeaseKeepAliveRequest(LEASE))
    restored = StoreStateMachine(lambda: 0.0, max_pending_bytes=1000)
    restored.take(restored.load(machine.snapshot()))

    assert do(restored, rq.LeaseExpireRequest(LEASE, 0)) == rq.LeaseExpireResponse(2, False)
    assert do(restored, rq.LeaseExpireRequest(LEASE, 1)) == rq.LeaseExpireResponse(3, True)
