from typing import Any

import pytest

from podling.controlplane.apiserver import tables
from podling.kube import kinds
from podling.kube.kinds import Kind
from podling.kube.meta import Object

BORN = "1970-01-01T00:00:00Z"
NOW = 90.0


def show(kind: Kind, **fields: Any) -> dict[str, Any]:
    """The row of one object: column name -> cell."""
    obj = {"metadata": {"name": "x", "creationTimestamp": BORN}, **fields}
    made = tables.table(kind, [obj], now=NOW)
    names = [column["name"] for column in made["columnDefinitions"]]
    [row] = made["rows"]
    return dict(zip(names, row["cells"], strict=True))


def waiting(reason: str, **more: Any) -> Object:
    return {"name": "c", "state": {"waiting": {"reason": reason}}, **more}


def terminated(code: int = 0, **more: Any) -> Object:
    return {"name": "c", "state": {"terminated": {"exitCode": code, **more}}}


RUNNING: Object = {"name": "c", "ready": True, "state": {"running": {}}}
UNREADY: Object = {"name": "c", "ready": False, "state": {"running": {}}}
READY_CONDITION = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("status", "ready", "shown"),
    [
        ({"phase": "Pending"}, "0/2", "Pending"),
        ({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}, "0/2",
         "ContainerCreating"),
        ({"phase": "Running", "containerStatuses": [RUNNING, RUNNING]}, "2/2", "Running"),
        ({"phase": "Running", "containerStatuses": [RUNNING, UNREADY]}, "1/2", "Running"),
        ({"phase": "Running", "containerStatuses": [RUNNING, waiting("CrashLoopBackOff")]},
         "1/2", "CrashLoopBackOff"),
        ({"phase": "Failed", "containerStatuses": [terminated(3)]}, "0/2", "ExitCode:3"),
        ({"phase": "Failed", "containerStatuses": [terminated(137, signal=9)]}, "0/2", "Signal:9"),
        ({"phase": "Failed", "containerStatuses": [terminated(1, reason="Error")]}, "0/2", "Error"),
        ({"phase": "Failed", "reason": "Evicted"}, "0/2", "Evicted"),
        (
            {
                "phase": "Running",
                "conditions": [READY_CONDITION],
                "containerStatuses": [terminated(reason="Completed"), RUNNING],
            },
            "1/2",
            "Running",
        ),
        (
            {"phase": "Running", "containerStatuses": [terminated(reason="Completed"), RUNNING]},
            "1/2",
            "NotReady",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}],
            },
            "0/2",
            "SchedulingGated",
        ),
    ],
)  # fmt: skip
def test_the_status_of_a_pod_is_that_of_its_containers(
    status: Object, ready: str, shown: str
) -> None:
    row = show(kinds.POD, spec={"containers": [{"name": "c"}, {"name": "d"}]}, status=status)
    assert (row["Ready"], row["Status"]) == (ready, shown)
    assert (row["Age"], row["IP"], row["Node"]) == ("90s", "<none>", "<none>")


@pytest.mark.parametrize(
    ("statuses", "shown"),
    [
        ([terminated(0), {"name": "d", "state": {"running": {}}}], "Init:1/2"),
        ([waiting("CrashLoopBackOff")], "Init:CrashLoopBackOff"),
        ([waiting("PodInitializing")], "Init:0/2"),
        ([terminated(2)], "Init:ExitCode:2"),
        ([terminated(2, reason="Error")], "Init:Error"),
    ],
)
def test_a_pod_that_initializes_says_how_far_it_is(statuses: list[Object], shown: str) -> None:
    spec = {"initContainers": [{"name": "c"}, {"name": "d"}], "containers": [{"name": "m"}]}
    status = {"phase": "Pending", "initContainerStatuses": statuses}
    assert show(kinds.POD, spec=spec, status=status)["Status"] == shown


def test_a_sidecar_counts_as_a_container() -> None:
    spec = {
        "initContainers": [{"name": "c", "restartPolicy": "Always"}],
        "containers": [{"name": "m"}],
    }
    status = {
        "phase": "Running",
        "initContainerStatuses": [{**RUNNING, "started": True}],
        "containerStatuses": [{**RUNNING, "name": "m"}],
    }
    assert show(kinds.POD, spec=spec, status=status)["Ready"] == "2/2"


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Running"}, "Terminating"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
        ({"phase": "Succeeded"}, "Succeeded"),
    ],
)
def test_a_pod_that_is_being_deleted_says_so(status: Object, shown: str) -> None:
    metadata = {"name": "x", "deletionTimestamp": BORN}
    assert show(kinds.POD, metadata=metadata, status=status)["Status"] == shown


def test_restarts_say_when() -> None:
    last = {"terminated": {"finishedAt": "1970-01-01T00:01:00Z"}}
    statuses = [{**RUNNING, "restartCount": 3, "lastState": last}]
    status = {"phase": "Running", "containerStatuses": statuses}
    assert show(kinds.POD, status=status)["Restarts"] == "3 (30s ago)"


def test_a_finished_pod_is_marked_in_its_row() -> None:
    made = tables.table(kinds.POD, [{"metadata": {"name": "x"}, "status": {"phase": "Failed"}}])
    assert made["rows"][0]["conditions"][0]["reason"] == "Failed"


TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}}
SELECTOR = {"matchLabels": {"app": "web"}}


def test_a_deployment_counts_its_pods() -> None:
    row = show(
        kinds.DEPLOYMENT,
        spec={"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
        status={"readyReplicas": 1, "updatedReplicas": 2},
    )
    assert row == {
        "Name": "x", "Ready": "1/3", "Up-to-date": 2, "Available": 0, "Age": "90s",
        "Containers": "a,b", "Images": "i,j", "Selector": "app=web",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "status", "external", "ports"),
    [
        ({"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP"}]}, {}, "<none>",
         "80/TCP"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001, "protocol": "UDP"}]},
         {}, "<none>", "80:30001/UDP"),
        ({"type": "LoadBalancer"}, {}, "<pending>", "<none>"),
        ({"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, "1.2.3.4",
         "<none>"),
        ({"type": "ExternalName", "externalName": "example.com"}, {}, "example.com", "<none>"),
    ],
)  # fmt: skip
def test_a_service_says_where_it_is_reached(
    spec: Object, status: Object, external: str, ports: str
) -> None:
    row = show(kinds.SERVICE, spec={"clusterIPs": ["10.0.0.9"], **spec}, status=status)
    assert (row["External-IP"], row["Port(s)"]) == (external, ports)
    assert (row["Cluster-IP"], row["Selector"]) == ("10.0.0.9", "<none>")


@pytest.mark.parametrize(
    ("conditions", "unschedulable", "shown"),
    [
        ([READY_CONDITION], False, "Ready"),
        ([READY_CONDITION], True, "Ready,SchedulingDisabled"),
        ([{"type": "Ready", "status": "Unknown"}], False, "NotReady"),
        ([], False, "Unknown"),
    ],
)
def test_a_node_says_whether_it_is_ready(
    conditions: list[Object], unschedulable: bool, shown: str
) -> None:
    metadata = {"name": "x", "labels": {"node-role.kubernetes.io/worker": ""}}
    spec = {"unschedulable": unschedulable}
    row = show(kinds.NODE, metadata=metadata, spec=spec, status={"conditions": conditions})
    assert (row["Status"], row["Roles"], row["OS-Image"]) == (shown, "worker", "<unknown>")


def test_an_endpoint_slice_shows_three_and_counts_the_rest() -> None:
    endpoints = [{"addresses": [f"10.0.0.{host}"]} for host in range(5)]
    row = show(kinds.ENDPOINT_SLICE, addressType="IPv4", endpoints=endpoints, ports=[])
    assert row["Endpoints"] == "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more..."
    assert row["Ports"] == "<unset>"


def test_an_event_says_when_it_was_last_seen() -> None:
    row = show(
        kinds.EVENT,
        involvedObject={"kind": "Pod", "name": "p"},
        lastTimestamp="1970-01-01T00:01:00Z",
        firstTimestamp=BORN,
        source={"component": "kubelet", "host": "n"},
        message=" hello\n",
    )
    assert (row["Last Seen"], row["Object"], row["Message"]) == ("30s", "pod/p", "hello")
    assert (row["Source"], row["Count"], row["First Seen"]) == ("kubelet, n", 1, "90s")


def test_an_event_in_the_newer_form_has_times_too() -> None:
    row = show(kinds.EVENT, eventTime="1970-01-01T00:00:30.000000Z", reportingComponent="me")
    assert (row["Last Seen"], row["Source"]) == ("60s", "me")


@pytest.mark.parametrize(
    ("kind", "fields", "cells"),
    [
        (kinds.NAMESPACE, {"status": {"phase": "Active"}}, ["x", "Active", "90s"]),
        (kinds.CONFIG_MAP, {"data": {"a": ""}, "binaryData": {"b": ""}}, ["x", 2, "90s"]),
        (kinds.SECRET, {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "90s"]),
        (kinds.SERVICE_ACCOUNT, {}, ["x", 0, "90s"]),
        (kinds.LEASE, {"spec": {"holderIdentity": "me"}}, ["x", "me", "90s"]),
        (kinds.REPLICA_SET, {"spec": {"replicas": 2, "selector": SELECTOR}, "status": {}},
         ["x", 2, 0, 0, "90s", "", "", "app=web"]),
    ],
)  # fmt: skip
def test_the_other_kinds(kind: Kind, fields: Object, cells: list[Any]) -> None:
    assert list(show(kind, **fields).values()) == cells


def test_every_built_in_kind_prints_an_empty_object_with_a_cell_per_column() -> None:
    for kind in kinds.BUILT_IN:
        assert kind in tables.PRINTERS
        assert "Name" in show(kind)


def test_rows_carry_metadata_the_object_or_nothing() -> None:
    obj = {"kind": "Secret", "metadata": {"name": "x"}, "data": {}}
    for include, expected in (
        (tables.INCLUDE_OBJECT, obj),
        (tables.INCLUDE_NONE, None),
        (
            tables.INCLUDE_METADATA,
            {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"name": "x"},
            },
        ),
    ):
        [row] = tables.table(kinds.SECRET, [obj], include)["rows"]
        assert row.get("object") == expected


def test_later_events_of_a_watch_leave_the_columns_out() -> None:
    assert tables.table(kinds.SECRET, [], with_columns=False)["columnDefinitions"] == []
