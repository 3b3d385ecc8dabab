from typing import Any

import orjson
import pytest

from podling.controlplane.apiserver.documents.openapi import OpenApi
from podling.kube import kinds

DEPLOYMENT = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"

openapi = OpenApi(kinds.BUILT_IN, "v1.37.0")


def read(path: str) -> Any:
    document = openapi.answer(path)
    assert document is not None
    return orjson.loads(document.body)


def test_the_index_leads_to_every_group_version_by_its_hash() -> None:
    paths = read("/openapi/v3")["paths"]
    assert paths.keys() == {
        "api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1", "apis/discovery.k8s.io/v1",
    }  # fmt: skip
    address = paths["apis/apps/v1"]["serverRelativeURL"]
    path, _, digest = address.partition("?hash=")
    document = openapi.answer(path)
    assert document is not None
    assert document.etag == f'"{digest}"'


def test_the_hash_follows_the_content() -> None:
    fewer = OpenApi([kinds.DEPLOYMENT], "v1.37.0").answer("/openapi/v3/apis/apps/v1")
    more = openapi.answer("/openapi/v3/apis/apps/v1")
    assert fewer is not None
    assert more is not None
    assert fewer.etag != more.etag


def test_patch_says_what_kubectl_wants_to_know() -> None:
    patch = read("/openapi/v3/apis/apps/v1")["paths"][DEPLOYMENT]["patch"]
    gvk = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == gvk
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_schemas_carry_merge_keys_and_their_kinds() -> None:
    schemas = read("/openapi/v3/api/v1")["components"]["schemas"]
    pod = schemas["io.k8s.api.core.v1.Pod"]
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Pod", "version": "v1"}]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"


@pytest.mark.parametrize("group", ["api/v1", "apis/apps/v1", "apis/discovery.k8s.io/v1"])
def test_every_reference_leads_to_a_schema(group: str) -> None:
    document = read(f"/openapi/v3/{group}")
    schemas = document["components"]["schemas"]

    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [found for one in node for found in references(one)]
        if not isinstance(node, dict):
            return []
        mine = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return mine + [found for one in node.values() for found in references(one)]

    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_collections_are_created_in_and_listed_across_namespaces() -> None:
    paths = read("/openapi/v3/api/v1")["paths"]
    assert paths["/api/v1/pods"].keys() == {"get"}
    assert {"get", "post", "delete"} <= paths["/api/v1/namespaces/{namespace}/pods"].keys()
    assert {"get", "put", "patch", "delete"} <= paths["/api/v1/nodes/{name}"].keys()


def test_other_paths_are_not_answered() -> None:
    assert openapi.answer("/openapi/v3/apis/none/v1") is None
    assert openapi.answer("/openapi/v1") is None


def test_openapi_v2_is_a_document_without_types() -> None:
    document = openapi.answer("/openapi/v2")
    assert document is not None
    assert document.content_type.startswith("application/com.github.proto-openapi.spec.v2")
    assert document.body.startswith(b"\n\x032.0")
