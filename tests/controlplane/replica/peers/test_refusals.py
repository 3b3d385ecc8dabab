"""Who is refused again and again is spoken of at once, and then seldom."""

from podling.controlplane.replica.peers.refusals import INTERVAL, MAX_CALLERS, Refusals


def test_the_first_is_told_at_once_and_more_of_them_once_in_an_interval() -> None:
    refusals = Refusals()
    first = refusals.line("ipv4:10.0.0.1:5000", "another cluster", 0.0)
    assert first == "call from ipv4:10.0.0.1:5000 refused: another cluster"
    for second in range(1, 60):
        assert refusals.line(f"ipv4:10.0.0.1:{5000 + second}", "another cluster", second) is None
    later = refusals.line("ipv4:10.0.0.1:6000", "another cluster", INTERVAL)
    assert later == (
        "call from ipv4:10.0.0.1:6000 refused, as 59 before since the last time: another cluster"
    )
    assert refusals.line("ipv4:10.0.0.1:6000", "another cluster", INTERVAL + 1) is None


def test_other_callers_and_other_reasons_are_told_of_their_own() -> None:
    refusals = Refusals()
    assert refusals.line("ipv4:10.0.0.1:5000", "another cluster", 0.0)
    assert refusals.line("ipv4:10.0.0.2:5000", "another cluster", 0.0)
    assert refusals.line("ipv4:10.0.0.1:5000", "removed", 0.0)


def test_strangers_are_remembered_up_to_a_bound() -> None:
    refusals = Refusals()
    for number in range(MAX_CALLERS + 1):
        assert refusals.line("ipv4:10.0.0.1:5000", f"member {number}", 0.0)
    assert refusals.line("ipv4:10.0.0.1:5000", "member 0", 0.0), "forgotten, so told again"
    assert refusals.line("ipv4:10.0.0.1:5000", f"member {MAX_CALLERS}", 0.0) is None
