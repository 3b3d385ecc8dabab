import asyncio

from podling.controlplane.replica.leadership import Leadership


def test_beginning_and_end_are_told_once() -> None:
    leadership, heard = Leadership(), list[tuple[bool, int]]()
    leadership.subscribe(lambda leads, term: heard.append((leads, term)))
    leadership.update(1, leads=False, term=1)
    leadership.update(1, leads=True, term=1)
    leadership.update(1, leads=True, term=1)
    leadership.update(0, leads=False, term=2)
    leadership.update(2, leads=False, term=2)

    assert heard == [(True, 1), (False, 2)]


def test_leading_again_in_a_later_term_ends_the_earlier_one() -> None:
    leadership, heard = Leadership(), list[tuple[bool, int]]()
    leadership.update(1, leads=True, term=1)
    leadership.subscribe(lambda leads, term: heard.append((leads, term)))
    leadership.update(1, leads=True, term=3)

    assert heard == [(False, 3), (True, 3)]


def test_whoever_unsubscribes_hears_no_more() -> None:
    leadership, heard = Leadership(), list[bool]()
    unsubscribe = leadership.subscribe(lambda leads, _: heard.append(leads))
    unsubscribe()
    unsubscribe()
    leadership.update(1, leads=True, term=1)

    assert heard == []


async def test_waiting_ends_with_a_change_or_with_time() -> None:
    leadership = Leadership()
    await leadership.change(timeout=0.001)
    asyncio.get_running_loop().call_soon(lambda: leadership.update(7, leads=False, term=1))
    async with asyncio.timeout(30):
        await leadership.change(timeout=60)

    assert leadership.leader == 7
