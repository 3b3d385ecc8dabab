from podling.kube import lease_record
from podling.kube.lease_record import Observed
from podling.kube.meta import Object


def lease(holder: str, renewed: str = "10:00:00", duration: int = 3) -> Object:
    return {
        "metadata": {"name": "x", "resourceVersion": "1"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "acquireTime": "2026-01-01T09:00:00.000000Z",
            "renewTime": f"2026-01-01T{renewed}.000000Z",
            "leaseTransitions": 4,
        },
    }


def test_a_held_lease_is_taken_only_after_it_has_not_changed_for_its_duration() -> None:
    observed = Observed()
    observed.see(lease("a"), 7.0)
    observed.see(lease("a"), 9.5)
    assert not observed.may_take("b", 9.5)
    assert observed.may_take("b", 10.1)
    observed.see(lease("a", "10:00:09"), 10.1)
    assert not observed.may_take("b", 13.0)
    assert observed.holder == "a"


def test_a_free_lease_and_ones_own_are_taken_at_once() -> None:
    for found in (None, {"metadata": {}}, lease(""), lease("b")):
        observed = Observed()
        observed.see(found, 100.0)
        assert observed.may_take("b", 100.0)


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    first = lease_record.claimed(lease_record.new_lease("ns", "x"), "a", 2.5, 0.25)
    assert first["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 3,
        "acquireTime": "1970-01-01T00:00:00.250000Z",
        "renewTime": "1970-01-01T00:00:00.250000Z",
        "leaseTransitions": 0,
    }
    renewed = lease_record.claimed(first, "a", 2.5, 1.0)["spec"]
    assert renewed["acquireTime"] == "1970-01-01T00:00:00.250000Z"
    assert (renewed["renewTime"], renewed["leaseTransitions"]) == (
        "1970-01-01T00:00:01.000000Z",
        0,
    )
    taken = lease_record.claimed(first, "b", 2.5, 2.0)["spec"]
    assert (taken["acquireTime"], taken["leaseTransitions"]) == ("1970-01-01T00:00:02.000000Z", 1)


def test_what_others_wrote_beside_the_record_is_kept() -> None:
    found = lease("a")
    found["metadata"]["labels"] = {"team": "x"}
    found["spec"]["strategy"] = "OldestEmulationVersion"
    claimed = lease_record.claimed(found, "b", 3, 0)
    assert claimed["metadata"]["labels"] == {"team": "x"}
    assert claimed["spec"]["strategy"] == "OldestEmulationVersion"
    assert found["spec"]["holderIdentity"] == "a"


def test_a_released_lease_is_free_for_anybody() -> None:
    observed = Observed()
    observed.see(lease_record.released(lease("a"), 0.0), 0.0)
    assert observed.may_take("b", 0.0)
    assert not observed.holder
