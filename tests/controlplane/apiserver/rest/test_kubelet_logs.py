import asyncio

import pytest

from podling.controlplane.apiserver.rest import kubelet_logs
from podling.controlplane.apiserver.rest.kubelet_logs import KubeletLogs
from podling.controlplane.apiserver.rest.logs import NodeAddress


async def test_a_node_agent_that_takes_the_connection_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kubelet_logs, "ANSWER_SECONDS", 0.05)
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()
        gone.set()

    logs = KubeletLogs(None)
    await logs.start()
    try:
        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            address = NodeAddress("node-1", host, port)
            with pytest.raises(OSError, match=f"{host}:{port} did not answer within 0.05 s"):
                async with logs.open(address, "/containerLogs/default/web/web", {}):
                    pass
            await asyncio.wait_for(gone.wait(), 15)
    finally:
        await logs.stop()
