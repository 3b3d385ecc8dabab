import asyncio

from podling.controlplane.replica.errors import NoLeader, ReplicaStopped
from podling.controlplane.replica.reads import Read, Reads


def read(deadline: float = 10.0) -> Read:
    return Read(asyncio.get_running_loop().create_future(), deadline)


async def test_reads_that_come_meanwhile_share_the_next_request() -> None:
    reads, first, second, third = Reads(), read(), read(), read()
    reads.add(first)
    assert reads.next_request(now=0.0) == 1
    reads.add(second)
    reads.add(third)
    assert reads.next_request(now=0.0) == 0

    reads.answered(1, index=5, applied=5)
    assert first.future.result() == 5
    assert reads.next_request(now=0.0) == 2
    reads.answered(2, index=6, applied=5)
    assert not second.future.done()
    reads.applied(6)
    assert (second.future.result(), third.future.result()) == (6, 6)


async def test_an_answer_to_an_earlier_request_does_not_count() -> None:
    reads, waiting = Reads(), read()
    reads.add(waiting)
    reads.next_request(now=0.0)
    assert reads.asked_before(0.1)
    reads.ask_again()
    assert reads.next_request(now=1.0) == 2
    reads.answered(1, index=5, applied=5)
    assert not waiting.future.done()

    reads.answered(2, index=6, applied=6)
    assert waiting.future.result() == 6


async def test_time_up_says_why() -> None:
    reads = Reads()
    waiting, asked, confirmed, later = read(), read(), read(), read(20.0)
    reads.add(confirmed)
    reads.add(later)
    reads.answered(reads.next_request(0.0), index=9, applied=0)
    reads.add(asked)
    reads.next_request(0.0)
    reads.add(waiting)
    reads.expire(10.0)

    for each in (waiting, asked, confirmed):
        assert isinstance(each.future.exception(), NoLeader)
    assert "caught up" in str(confirmed.future.exception())
    reads.applied(9)
    assert later.future.result() == 9


async def test_closing_answers_everybody() -> None:
    reads, waiting = Reads(), read()
    reads.add(waiting)
    reads.close(ReplicaStopped("bye"))

    assert isinstance(waiting.future.exception(), ReplicaStopped)
    assert not reads.waiting
