"""Scale, binding, pod logs, and what is not served."""

import pytest

from podling.kube import kinds
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from tests.controlplane.apiserver.api import PODS, Api, pod

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WEB: Object = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        },
    },
}
NODE: Object = {
    "metadata": {"name": "node-1"},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "127.9.64.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    },
}


async def test_a_deployment_is_scaled(api: Api) -> None:
    await api.create(DEPLOYMENTS, WEB)
    scale = (await api.get(f"{DEPLOYMENTS}/web/scale")).json
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "app=web"
    patched = await api.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 5}})
    assert patched.json["spec"] == {"replicas": 5}
    put = await api.put(f"{DEPLOYMENTS}/web/scale", {**patched.json, "spec": {"replicas": 3}})
    assert put.status == 200, put.body
    web = (await api.get(f"{DEPLOYMENTS}/web")).json
    assert web["spec"]["replicas"] == 3
    assert web["metadata"]["generation"] == 3
    stale = await api.put(f"{DEPLOYMENTS}/web/scale", {**scale, "spec": {"replicas": 9}})
    assert (stale.status, stale.json["reason"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"spec": {"replicas": -1}}, 422),
        ({"spec": {"replicas": "three"}}, 400),
        (b"{", 400),
        (b"[]", 400),
    ],
)
async def test_a_bad_scale_is_a_status(api: Api, body: object, status: int) -> None:
    await api.create(DEPLOYMENTS, WEB)
    reply = await api.patch(f"{DEPLOYMENTS}/web/scale", body)
    assert (reply.status, reply.json["kind"]) == (status, "Status")
    assert (await api.get(f"{DEPLOYMENTS}/web")).json["spec"]["replicas"] == 2


async def test_a_pod_is_bound_once(api: Api) -> None:
    await api.create(PODS, pod("a"))
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "a"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"},
    }
    reply = await api.post(f"{PODS}/a/binding", binding)
    assert (reply.status, reply.json["status"]) == (201, "Success")
    bound = (await api.get(f"{PODS}/a")).json
    assert bound["spec"]["nodeName"] == "node-1"
    conditions = {one["type"]: one["status"] for one in bound["status"]["conditions"]}
    assert conditions["PodScheduled"] == "True"
    again = await api.post(f"{PODS}/a/binding", binding)
    assert (again.status, again.json["reason"]) == (409, "Conflict")
    assert 'already assigned to node "node-1"' in again.json["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"target": {}}, 422),
        ({"metadata": {"name": "b"}, "target": {"name": "node-1"}}, 400),
        ({"kind": "Pod", "target": {"name": "node-1"}}, 400),
    ],
)
async def test_a_bad_binding_is_a_status(api: Api, body: object, status: int) -> None:
    await api.create(PODS, pod("a"))
    reply = await api.post(f"{PODS}/a/binding", body)
    assert (reply.status, reply.json["kind"]) == (status, "Status"), reply.body


async def test_what_is_not_served_says_so(api: Api) -> None:
    await api.create(PODS, pod("a"))
    assert (await api.get(f"{PODS}/a/nonsense")).status == 404
    reply = await api.post(f"{PODS}/a/exec?command=ls", None)
    assert (reply.status, reply.json["reason"]) == (501, "NotImplemented")


METHODS = {"get": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}


@pytest.mark.parametrize("kind", kinds.BUILT_IN, ids=lambda kind: kind.plural)
async def test_discovery_tells_of_every_subresource_that_is_served_and_of_no_other(
    api: Api, kind: Kind
) -> None:
    version = kind.path().removesuffix(f"/{kind.plural}")
    told = {resource["name"] for resource in (await api.get(version)).json["resources"]}
    for part in kind.subresources:
        path = kind.path("default", "none", part.name)
        statuses = {(await api.ask(METHODS[verb], path)).status for verb in part.verbs}
        assert (f"{kind.plural}/{part.name}" in told) == (501 not in statuses), part.name


async def logged_pod(api: Api, **spec: object) -> None:
    await api.create("/api/v1/nodes", NODE)
    await api.patch("/api/v1/nodes/node-1/status", {"status": NODE["status"]})
    await api.create(PODS, pod("a", **spec))
    await api.post(f"{PODS}/a/binding", {"target": {"name": "node-1"}})


async def test_a_log_comes_from_the_pods_node(api: Api) -> None:
    await logged_pod(api)
    api.node_logs.lines = [b"one\n", b"two\n"]
    reply = await api.get(f"{PODS}/a/log?tailLines=2&timestamps=true&follow=true&limitBytes=100")
    assert (reply.status, reply.content_type, reply.body) == (200, "text/plain", b"one\ntwo\n")
    ((address, path, query),) = api.node_logs.asked
    assert (address.host, address.port) == ("127.9.64.1", 10250)
    assert path == "/containerLogs/default/a/main"
    assert query == {
        "tailLines": "2", "timestamps": "true", "follow": "true", "limitBytes": "100"
    }  # fmt: skip
    assert api.node_logs.open_now == 0


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("container=other", 400, "container other is not valid"),
        ("tailLines=many", 400, "tailLines"),
        ("tailLines=-1", 422, "tailLines"),
        ("sinceSeconds=0", 422, "sinceSeconds"),
        ("sinceTime=yesterday", 400, "sinceTime"),
    ],
)
async def test_a_bad_question_for_a_log_is_a_status(
    api: Api, query: str, status: int, words: str
) -> None:
    await logged_pod(api)
    reply = await api.get(f"{PODS}/a/log?{query}")
    assert (reply.status, reply.json["kind"]) == (status, "Status")
    assert words in reply.json["message"]
    assert not api.node_logs.asked


async def test_one_of_several_containers_must_be_named(api: Api) -> None:
    containers = [{"name": name, "image": "x"} for name in ("one", "two")]
    await logged_pod(api, containers=containers)
    reply = await api.get(f"{PODS}/a/log")
    assert reply.status == 400
    assert "choose one of: [one two]" in reply.json["message"]
    assert (await api.get(f"{PODS}/a/log?container=two")).status == 200


async def test_a_pod_without_node_has_no_log(api: Api) -> None:
    await api.create(PODS, pod("a"))
    reply = await api.get(f"{PODS}/a/log")
    assert (reply.status, "does not have a host" in reply.json["message"]) == (400, True)


async def test_a_node_agent_that_cannot_help_is_told(api: Api) -> None:
    await logged_pod(api)
    api.node_logs.status, api.node_logs.lines = 400, [b"container is waiting to start"]
    reply = await api.get(f"{PODS}/a/log")
    assert (reply.status, reply.json["message"]) == (400, "container is waiting to start")
    api.node_logs.error = ConnectionRefusedError("refused")
    reply = await api.get(f"{PODS}/a/log")
    assert reply.status == 500
    assert "node-1 at 127.9.64.1:10250 cannot be reached" in reply.json["message"]
    assert api.node_logs.open_now == 0
