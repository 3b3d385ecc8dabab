"""Whatever a client sends, the answer is a proper Status and never an internal error.

Valid objects of every kind with random damage, sent with random verbs, queries and headers.
"""

import random
from typing import Any

import orjson
import pytest

from podling.kube import kinds
from podling.kube.kinds import Kind
from podling.kube.meta import Object
from tests.controlplane.apiserver.api import Api

TEMPLATE: Object = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "nginx",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"limits": {"cpu": "100m"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            }
        ],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "nodeSelector": {"a": "b"},
    },
}
WORKLOAD: Object = {
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
}
BODIES: dict[str, Object] = {
    "Namespace": {},
    "Node": {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}, "status": {}},
    "Pod": TEMPLATE,
    "Service": {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
    "EndpointSlice": {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.9.64.2"], "conditions": {"ready": True}}],
        "ports": [{"name": "", "port": 80}],
    },
    "ReplicaSet": WORKLOAD,
    "Deployment": WORKLOAD,
    "ConfigMap": {"data": {"a": "b"}, "binaryData": {"c": "ZA=="}},
    "Secret": {"data": {"a": "YQ=="}, "stringData": {"b": "c"}, "type": "Opaque"},
    "ServiceAccount": {"secrets": [{"name": "a"}]},
    "Event": {
        "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"},
        "reason": "R",
        "type": "Normal",
        "firstTimestamp": "2020-01-01T00:00:00Z",
    },
    "Lease": {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 3}},
}
JUNK: list[Any] = [
    None, "", "x", 0, -1, 1, 2**31, 2**63 - 1, 1.5, True, [], {}, [None], [{}], {"": None},
    {"a": "b"}, ["a", 1], "a/b/c", "é" * 70, "x" * 300, "\x00", "-", "127.0.0.1", "::1", "1e400",
    "{}", {"kind": "Pod"},
]  # fmt: skip
QUERIES = [
    "", "dryRun=All", "fieldValidation=Strict", "fieldValidation=Ignore", "limit=1", "limit=x",
    "watch=true&timeoutSeconds=x", "labelSelector=,", "labelSelector=a in (", "continue=%00",
    "fieldSelector=a%3D%3D", "resourceVersion=-1", "resourceVersion=1", "gracePeriodSeconds=x",
    "resourceVersionMatch=Exact&resourceVersion=1", "propagationPolicy=x", "pretty=true",
]  # fmt: skip
TYPES = [
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain",
    "application/merge-patch+json", "application/json-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml", "",
]  # fmt: skip


def body_of(kind: Kind, name: str) -> Object:
    body: Object = orjson.loads(orjson.dumps(BODIES[kind.kind]))
    body.setdefault("metadata", {})["name"] = name
    return body


def damage(value: Any, dice: random.Random, depth: int = 0) -> Any:
    """A copy in which one place is something else."""
    if depth and dice.random() < 0.25:
        return dice.choice(JUNK)
    if isinstance(value, dict) and value:
        name = dice.choice(list(value))
        if dice.random() < 0.1:
            return {**value, dice.choice(("", "unknown", "$patch", "metadata")): dice.choice(JUNK)}
        return {**value, name: damage(value[name], dice, depth + 1)}
    if isinstance(value, list) and value:
        index = dice.randrange(len(value))
        return [*value[:index], damage(value[index], dice, depth + 1), *value[index + 1 :]]
    return dice.choice(JUNK)


def patch_of(dice: random.Random, body: Object) -> Any:
    if dice.random() < 0.4:
        path = dice.choice(("/metadata/name", "/spec", "/spec/containers/-", "", "/data/~2", "x"))
        operation = dice.choice(("add", "remove", "replace", "test", "move", "nonsense"))
        return [{"op": operation, "path": path, "value": dice.choice(JUNK), "from": "/metadata"}]
    return damage(body, dice)


def encode(value: Any, dice: random.Random) -> bytes:
    body = orjson.dumps(value)
    if dice.random() < 0.1:
        cut = dice.randrange(len(body) + 1)
        body = body[:cut] + bytes(dice.randrange(256) for _ in range(dice.randrange(8)))
    return body


@pytest.mark.parametrize("kind", kinds.BUILT_IN, ids=lambda kind: kind.kind)
async def test_damaged_requests_get_a_status(api: Api, kind: Kind) -> None:
    dice = random.Random(kind.kind)
    namespace = "default" if kind.namespaced else ""
    reply = await api.post(kind.path(namespace), body_of(kind, "good"))
    assert reply.status == 201, reply.body
    subresources = ["", "", "", *(part.name for part in kind.subresources), "nonsense"]
    for _ in range(250):
        method = dice.choice(("POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "GET", "OPTIONS"))
        body = body_of(kind, dice.choice(("good", "new")))
        name = "" if method == "POST" and dice.random() < 0.7 else "good"
        path = kind.path(namespace, name, dice.choice(subresources) if name else "")
        sent = patch_of(dice, body) if method == "PATCH" else damage(body, dice)
        encoded = b"" if method in ("GET", "OPTIONS") else encode(sent, dice)
        reply = await api.ask(
            method,
            f"{path}?{dice.choice(QUERIES)}",
            encoded,
            content_type=TYPES[0] if dice.random() < 0.6 else dice.choice(TYPES),
        )
        request = f"{method} {path} {encoded!r}: {reply.body[:500]!r}"
        assert reply.status != 500, request
        if reply.status >= 300:
            assert reply.json["kind"] == "Status", request
            assert reply.json["code"] == reply.status, request
            assert reply.json["message"], request
        if method == "DELETE" and reply.status == 200:
            await api.post(kind.path(namespace), body_of(kind, "good"))
