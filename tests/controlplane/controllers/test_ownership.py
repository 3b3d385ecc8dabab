import pytest

from podling.controlplane.controllers import ownership
from podling.kube import label_selectors, meta
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import pod, replica_set

SELECTOR = label_selectors.from_object({"matchLabels": {"app": "web"}})
OWNER = replica_set("r")
OTHER = replica_set("other")
UNSELECTED = {"app": "else"}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(owner=OWNER), "mine"),
        (pod(owner=OWNER, labels=UNSELECTED), "release"),
        (pod(owner=OWNER, labels=UNSELECTED, deleting=True), ""),
        (pod(owner=OTHER), ""),
        (pod(), "adopt"),
        (pod(deleting=True), ""),
        (pod(labels=UNSELECTED), ""),
    ],
)
def test_claims_follow_reference_and_selector(obj: Object, expected: str) -> None:
    claims = ownership.claim(OWNER, SELECTOR, [obj])
    found = [field for field in ("mine", "adopt", "release") if getattr(claims, field)]
    assert found == ([expected] if expected else [])


def test_an_owner_that_goes_takes_and_gives_nothing() -> None:
    going = replica_set("r")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    claims = ownership.claim(going, SELECTOR, [pod(), pod(owner=going, labels=UNSELECTED)])
    assert (claims.mine, claims.adopt, claims.release) == ([], [], [])


def test_patches_change_the_reference_of_this_very_object_only() -> None:
    orphan = pod()
    patch = ownership.adoption_patch(orphan, OWNER)["metadata"]
    assert patch["uid"] == meta.uid(orphan)
    assert patch["ownerReferences"] == [meta.controller_reference(OWNER)]
    owned = pod(owner=OWNER)
    assert ownership.release_patch(owned, OWNER)["metadata"]["ownerReferences"] is None
