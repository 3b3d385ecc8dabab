"""When proposals go, on virtual time."""

import pytest

from podling.controlplane.replica.gathering import GATHER_EACH, LINGER, Gathering
from podling.simulate.event_loop import VirtualTime


class Line:
    """Proposals in line, which go whenever they may."""

    def __init__(self) -> None:
        self.time = VirtualTime(lambda process, error, text: pytest.fail(f"{text}: {error!r}"))
        self.gathering = Gathering(self.time.new_loop("replica"), self.look)
        self.in_line = 0
        self.on_their_way = 0
        self.gone: list[tuple[float, int]] = []
        """(seconds, how many)"""

    def add(self, count: int) -> None:
        self.in_line += count
        self.look()

    def committed(self) -> None:
        self.on_their_way = 0
        self.look()

    def look(self) -> None:
        way = bool(self.on_their_way)
        if self.in_line and not self.gathering.hold(self.in_line, on_their_way=way):
            self.gone.append((round(self.time.now, 6), self.in_line))
            self.gathering.handed_over(self.in_line)
            self.on_their_way, self.in_line = self.in_line, 0

    def later(self) -> None:
        """Until the next that goes."""
        before = len(self.gone)
        self.time.run_until(lambda: len(self.gone) > before, lambda loop: None)


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_single_client_never_waits(line: Line) -> None:
    for _ in range(3):
        line.add(1)
        line.committed()
    assert line.gone == [(0, 1)] * 3


def test_what_comes_while_others_are_on_their_way_goes_behind_them_at_once(line: Line) -> None:
    line.add(1)
    line.add(1)
    line.add(1)
    assert line.gone == [(0, 1)]
    line.committed()
    assert line.gone == [(0, 1), (0, 2)]


def test_a_long_way_is_not_waited_out(line: Line) -> None:
    line.add(1)
    line.add(1)
    line.later()
    assert line.gone == [(0, 1), (LINGER, 1)]


def test_as_many_as_the_last_time_are_waited_for(line: Line) -> None:
    line.add(8)
    line.committed()
    line.add(5)
    assert line.gone == [(0, 8)]
    line.add(3)
    assert line.gone == [(0, 8), (0, 8)]


def test_those_who_do_not_come_again_are_not_waited_for_long(line: Line) -> None:
    line.add(8)
    line.committed()
    line.add(1)
    line.later()
    assert line.gone == [(0, 8), (8 * GATHER_EACH, 1)]
    line.committed()
    line.add(1)
    assert line.gone[2:] == [(8 * GATHER_EACH, 1)], "one more at the same moment"


def test_a_great_crowd_is_waited_for_no_longer_than_a_long_way(line: Line) -> None:
    line.add(1000)
    line.committed()
    line.add(1)
    line.later()
    assert line.gone == [(0, 1000), (LINGER, 1)]


def test_those_held_behind_others_may_wait_for_their_like_when_these_are_done(line: Line) -> None:
    line.add(8)
    line.add(2)
    line.committed()
    assert line.gone == [(0, 8)]
    line.add(6)
    assert line.gone == [(0, 8), (0, 8)]


def test_nothing_is_held_after_the_end(line: Line) -> None:
    line.add(1)
    line.add(1)
    line.gathering.stop()
    line.time.new_loop("other").call_later(1, line.gone.append, (1, 0))
    line.later()
    assert line.gone == [(0, 1), (1, 0)]
