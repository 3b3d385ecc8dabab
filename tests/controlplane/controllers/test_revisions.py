import copy

from podling.controlplane.controllers import revisions
from podling.kube import meta
from tests.controlplane.controllers.objects import deployment, replica_set, template


def test_the_hash_follows_the_template_and_the_collisions() -> None:
    first = revisions.template_hash(template("web:1"), 0)
    assert first == revisions.template_hash(copy.deepcopy(template("web:1")), 0)
    assert first != revisions.template_hash(template("web:2"), 0)
    assert first != revisions.template_hash(template("web:1"), 1)
    assert set(first) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_the_replica_set_of_a_template_is_found_again() -> None:
    web = deployment(3)
    made = revisions.new_replica_set(web, 3, 4, 1, 0)
    made["metadata"]["uid"] = "made"
    assert revisions.find_new(web, [replica_set("x", image="web:2"), made]) is made
    assert revisions.find_new(deployment(image="web:9"), [made]) is None


def test_of_several_the_oldest_is_the_one() -> None:
    young, old = replica_set("a", created=9.0), replica_set("b", created=1.0)
    assert revisions.find_new(deployment(), [young, old]) is old


def test_a_new_replica_set_is_told_apart_by_its_hash() -> None:
    web = deployment(3, minReadySeconds=5)
    web["metadata"]["annotations"] = {
        "kubernetes.io/change-cause": "why",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    made = revisions.new_replica_set(web, 1, 4, 7, 0)
    digest = meta.labels(made)["pod-template-hash"]
    assert meta.name(made) == f"web-{digest}"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert made["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == digest
    assert "pod-template-hash" not in web["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["minReadySeconds"] == 5
    assert meta.annotations(made) == {
        "kubernetes.io/change-cause": "why",
        revisions.REVISION: "7",
        revisions.DESIRED_REPLICAS: "3",
        revisions.MAX_REPLICAS: "4",
    }


def test_a_template_that_comes_back_gets_the_next_number() -> None:
    before = {revisions.REVISION: "1"}
    after = revisions.annotations_for(deployment(), before, 3)
    assert after[revisions.REVISION] == "3"
    assert after[revisions.REVISION_HISTORY] == "1"
    again = revisions.annotations_for(deployment(), after, 5)
    assert again[revisions.REVISION_HISTORY] == "1,3"
    assert revisions.annotations_for(deployment(), again, 5) == again


def test_only_empty_ones_beyond_the_limit_expire() -> None:
    web = deployment(revisionHistoryLimit=1)
    old = [
        replica_set("b", 0, annotations={revisions.REVISION: "2"}),
        replica_set("a", 0, annotations={revisions.REVISION: "1"}),
        replica_set("c", 1, annotations={revisions.REVISION: "3"}),
    ]
    assert [meta.name(one) for one in revisions.expired(web, old)] == ["a", "b"]
    old[1]["status"]["replicas"] = 1
    assert [meta.name(one) for one in revisions.expired(web, old)] == ["b"]
    assert revisions.expired(deployment(revisionHistoryLimit=10), old) == []
