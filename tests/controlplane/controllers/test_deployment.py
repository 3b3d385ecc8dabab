from podling.controlplane.controllers import deployment_status
from podling.controlplane.controllers.deployment import plan_deployment
from podling.controlplane.controllers.deployment_status import Progress, plan_status
from podling.kube import conditions, meta
from podling.kube.meta import Object
from tests.controlplane.controllers.objects import deployment, replica_set

NOW = 10_000.0


def reason(status: Object, type_: str) -> str:
    condition = conditions.find(status["conditions"], type_)
    return "" if condition is None else str(condition["reason"])


def test_a_template_without_replica_set_gets_one() -> None:
    plan = plan_deployment(deployment(3), [], old_pods_running=False)
    assert plan.create is not None
    assert plan.create["spec"]["replicas"] == 3
    assert plan.revision == 1


def test_a_new_template_begins_within_the_surge() -> None:
    old = replica_set(
        "old", 4, image="web:0", annotations={"deployment.kubernetes.io/revision": "5"}
    )
    plan = plan_deployment(deployment(4), [old], old_pods_running=True)
    assert plan.create is not None
    assert plan.create["spec"]["replicas"] == 1
    assert plan.revision == 6
    assert plan.scale == ()


def test_recreate_empties_waits_and_then_creates() -> None:
    web = deployment(2, strategy={"type": "Recreate"})
    old = replica_set("old", 2, image="web:0")
    plan = plan_deployment(web, [old], old_pods_running=True)
    assert [scale.replicas for scale in plan.scale] == [0]
    assert plan.create is None
    emptied = replica_set("old", 0, image="web:0")
    assert plan_deployment(web, [emptied], old_pods_running=True).create is None
    plan = plan_deployment(web, [emptied], old_pods_running=False)
    assert plan.create is not None
    assert plan.create["spec"]["replicas"] == 2


def test_a_paused_one_creates_nothing() -> None:
    plan = plan_deployment(deployment(paused=True), [], old_pods_running=False)
    assert (plan.create, plan.scale, plan.revision) == (None, (), 0)


def test_one_that_goes_does_nothing() -> None:
    going = deployment()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    plan = plan_deployment(going, [], old_pods_running=False)
    assert (plan.create, plan.scale, plan.delete) == (None, (), ())


def test_history_is_cut_when_all_is_done() -> None:
    web = deployment(1, revisionHistoryLimit=0)
    new, old = replica_set("new", 1), replica_set("old", 0, image="web:0")
    assert plan_deployment(web, [new, old], old_pods_running=False).delete == ()
    web["status"] = plan_status(web, new, [old], NOW)
    plan = plan_deployment(web, [new, old], old_pods_running=False)
    assert [meta.name(one) for one in plan.delete] == ["old"]


def test_the_status_counts_over_all_replica_sets() -> None:
    web = deployment(4)
    status = plan_status(web, replica_set("new", 2, 1), [replica_set("old", 3)], NOW)
    counts = {field: count for field, count in status.items() if field != "conditions"}
    assert counts == {
        "observedGeneration": 1,
        "replicas": 5,
        "updatedReplicas": 2,
        "readyReplicas": 4,
        "availableReplicas": 4,
        "unavailableReplicas": 1,
    }
    assert reason(status, "Available") == "MinimumReplicasAvailable"
    assert reason(status, "Progressing") == "ReplicaSetUpdated"


def test_progress_completes_or_runs_out_of_time() -> None:
    web = deployment(2, progressDeadlineSeconds=60)
    begun = Progress(deployment_status.CREATED, "Created")
    web["status"] = plan_status(web, replica_set("n", 0), [], NOW, begun)
    assert reason(web["status"], "Progressing") == "NewReplicaSetCreated"
    assert deployment_status.seconds_to_deadline(web, web["status"], NOW) == 60.01
    half = plan_status(web, replica_set("n", 2, 1), [], NOW + 50)
    assert reason(half, "Progressing") == "ReplicaSetUpdated"
    web["status"] = half
    late = plan_status(web, replica_set("n", 2, 1), [], NOW + 111)
    assert reason(late, "Progressing") == "ProgressDeadlineExceeded"
    web["status"] = late
    done = plan_status(web, replica_set("n", 2), [], NOW + 200)
    assert reason(done, "Progressing") == "NewReplicaSetAvailable"
    assert deployment_status.seconds_to_deadline(web, done, NOW) is None


def test_losing_a_pod_later_is_no_new_rollout() -> None:
    web = deployment(2)
    web["status"] = plan_status(web, replica_set("n", 2), [], NOW)
    after = plan_status(web, replica_set("n", 2, 1), [], NOW + 5)
    assert reason(after, "Progressing") == "NewReplicaSetAvailable"


def test_time_does_not_count_while_it_is_paused() -> None:
    web = deployment(2, paused=True, progressDeadlineSeconds=1)
    paused = Progress(deployment_status.PAUSED, "Deployment is paused", "Unknown")
    web["status"] = plan_status(web, replica_set("n", 1), [], NOW, paused)
    later = plan_status(web, replica_set("n", 1), [], NOW + 100, paused)
    assert reason(later, "Progressing") == "DeploymentPaused"
    assert deployment_status.seconds_to_deadline(web, later, NOW + 100) is None


def test_the_trouble_of_a_replica_set_is_repeated() -> None:
    broken = replica_set("n", 2, 0)
    broken["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "x"}
    ]
    status = plan_status(deployment(2), broken, [], NOW)
    assert reason(status, "ReplicaFailure") == "FailedCreate"
    assert reason(plan_status(deployment(2), replica_set("n"), [], NOW), "ReplicaFailure") == ""
