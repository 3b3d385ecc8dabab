"""Which member of an etcd is asked. (Against real ones: `test_etcd_storage`.)"""

import asyncio

import pytest

from podling.controlplane.apiserver.storage.etcd_endpoints import (
    AVOID_SECONDS,
    EtcdConfig,
    EtcdEndpoints,
    EtcdMember,
)


async def test_a_member_on_which_somebody_waited_in_vain_is_avoided() -> None:
    """Otherwise who waits less long than a request may take comes back to the same one."""
    endpoints = EtcdEndpoints(EtcdConfig(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]))
    endpoints.start()
    asked: list[EtcdMember] = []

    async def wait_for_ever(member: EtcdMember) -> None:
        asked.append(member)
        await asyncio.Event().wait()

    began = asyncio.get_running_loop().time()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await endpoints.read(wait_for_ever)
        (member,) = asked
        assert member.avoided_until >= began + AVOID_SECONDS
    finally:
        await endpoints.stop()
