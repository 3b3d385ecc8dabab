"""What a member does without being asked, while something else that it does has to wait."""

import pytest

from podling.controlplane.store.config import StoreConfig
from tests.controlplane.store.members import Members
from tests.waiting import until


async def test_an_alarm_that_waits_for_a_quorum_does_not_hold_up_the_freeing_of_history(
    members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    config = StoreConfig(housekeeping_interval=0.02, request_timeout=60, quota_bytes=1000)
    left, *others = await members.start(3, config)
    await members.upgraded()
    for other in others:
        await members.stop(other)
    store = left.machine.store
    for number in range(20):
        store.put(b"a", b"%d" % number, 0)
        store.commit()
    await until(lambda: "raising the alarm NOSPACE" in caplog.text, "the alarm waits")

    store.compact(store.revision)
    await until(lambda: store.unswept == 0, "history is freed")
    assert not left.machine.alarms
