from podling.node.kubelet.probes.probe_state import ProbeKind, ProbeState, ProbeTimes


def state(kind: ProbeKind = ProbeKind.READINESS, **probe: int) -> ProbeState:
    return ProbeState(kind, ProbeTimes.of(probe), started_at=100.0)


def test_numbers_are_defaulted_as_documented() -> None:
    assert ProbeTimes.of({}) == ProbeTimes(0, 10, 1, 1, 3)


def test_the_first_question_comes_after_the_initial_delay_then_one_a_period() -> None:
    probe = state(initialDelaySeconds=5, periodSeconds=2)
    assert probe.next_at == 105
    probe.result(True, 105.1)
    assert probe.next_at == 107
    probe.result(True, 120.0)
    assert probe.next_at == 120


def test_readiness_begins_false_and_changes_after_whole_rows() -> None:
    probe = state(successThreshold=2, failureThreshold=3)
    results = [True, False, True, True, False, False, True, False, False, False]
    verdicts = []
    for result in results:
        probe.result(result, 0)
        verdicts.append(probe.succeeding)
    assert verdicts == [False, False, False, True, True, True, True, True, True, False]


def test_only_changes_are_told() -> None:
    probe = state(failureThreshold=1)
    assert [probe.result(result, 0) for result in (False, True, True, False)] == [
        False,
        True,
        False,
        True,
    ]


def test_a_liveness_probe_condemns_for_good() -> None:
    probe = state(ProbeKind.LIVENESS, failureThreshold=2)
    assert probe.succeeding
    assert not probe.result(False, 0)
    assert probe.result(False, 0)
    assert probe.condemned
    assert probe.over
    assert not probe.result(True, 0)
    assert probe.condemned


def test_a_startup_probe_is_over_when_it_succeeded() -> None:
    probe = state(ProbeKind.STARTUP, failureThreshold=30)
    probe.result(False, 0)
    assert not probe.over
    assert probe.result(True, 0)
    assert probe.over
