"""Which member of an etcd is asked. (Against real ones: `test_etcd_storage`.)"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from podling.controlplane.apiserver.storage.etcd_endpoints import (
    AVOID_SECONDS,
    EtcdConfig,
    EtcdEndpoints,
    EtcdMember,
)


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def endpoints() -> AsyncIterator[EtcdEndpoints]:
    """Of three members that nobody connects to."""
    members = [f"127.0.0.1:{port}" for port in (1, 2, 3)]
    endpoints = EtcdEndpoints(EtcdConfig(members, patience=0.01))
    endpoints.start()
    yield endpoints
    await endpoints.stop()


async def test_a_read_goes_on_to_another_member_when_one_hangs(endpoints: EtcdEndpoints) -> None:
    hung = endpoints.in_turn()[1]  # which is next

    async def ask(member: EtcdMember) -> str:
        if member is hung:
            await wait_for_ever()
        return member.address

    for _ in range(3):
        assert await endpoints.read(ask) != hung.address


async def test_a_write_is_not_handed_to_another_member(endpoints: EtcdEndpoints) -> None:
    """It may have happened, and would then happen twice."""
    asked: list[EtcdMember] = []

    async def ask(member: EtcdMember) -> None:
        asked.append(member)
        await wait_for_ever()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await endpoints.write(ask)
    assert len(asked) == 1


async def test_a_member_on_which_somebody_waited_in_vain_is_avoided(
    endpoints: EtcdEndpoints,
) -> None:
    """Otherwise who waits less long than a request may take comes back to the same one."""
    asked: list[EtcdMember] = []

    async def ask(member: EtcdMember) -> None:
        asked.append(member)
        await wait_for_ever()

    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await endpoints.write(ask)
    (member,) = asked
    assert member.avoided_until >= began + AVOID_SECONDS
