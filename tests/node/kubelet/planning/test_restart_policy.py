import pytest

from podling.node.kubelet.planning.restart_policy import DelayRange, RestartHistory, should_restart


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_the_policy_decides_by_exit_code(policy: str, code: int, expected: bool) -> None:
    assert should_restart(policy, code) is expected


def test_the_first_restart_is_immediate_and_later_ones_wait_twice_as_long_each() -> None:
    history = RestartHistory(DelayRange(initial=10, cap=50))
    delays = []
    for now in range(5):
        delays.append(history.delay("app", now))
        history.restarted("app", now)
    assert delays == [0, 10, 20, 40, 50]


def test_a_container_that_ran_for_long_starts_afresh() -> None:
    history = RestartHistory(DelayRange(initial=10, cap=50))
    history.restarted("app", 0)
    history.restarted("app", 1)
    assert history.delay("app", 101) == 20
    assert history.delay("app", 102) == 0
    history.restarted("app", 102)
    assert history.delay("app", 103) == 10


def test_containers_do_not_wait_for_each_other() -> None:
    history = RestartHistory(DelayRange(initial=10, cap=50))
    history.restarted("app", 0)
    assert history.delay("other", 1) == 0
