from typing import Any

import orjson
import pytest

from podling.controlplane.apiserver.documents.discovery import Discovery
from podling.kube import errors, kinds

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

discovery = Discovery(kinds.BUILT_IN)


def read(path: str, accept: str = "application/json") -> Any:
    document = discovery.answer(path, accept)
    assert document is not None
    return orjson.loads(document.body)


def test_legacy_discovery_lists_versions_and_groups() -> None:
    assert read("/api")["versions"] == ["v1"]
    groups = {group["name"]: group for group in read("/apis")["groups"]}
    assert groups.keys() == {"apps", "coordination.k8s.io", "discovery.k8s.io"}
    preferred = {"groupVersion": "apps/v1", "version": "v1"}
    assert groups["apps"]["preferredVersion"] == preferred
    assert read("/apis/apps")["kind"] == "APIGroup"


def test_a_resource_list_has_subresources_with_the_kind_of_their_body() -> None:
    listed = read("/apis/apps/v1")
    assert listed["groupVersion"] == "apps/v1"
    resources = {resource["name"]: resource for resource in listed["resources"]}
    assert resources["deployments"]["shortNames"] == ["deploy"]
    assert resources["deployments"]["categories"] == ["all"]
    scale = resources["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert "group" not in resources["deployments/status"]


def test_the_aggregated_form_tells_everything_in_two_documents() -> None:
    core, rest = read("/api", AGGREGATED), read("/apis", AGGREGATED)
    assert core["apiVersion"] == "apidiscovery.k8s.io/v2"
    [group] = core["items"]
    assert group["metadata"] == {}
    shown = {resource["resource"]: resource for resource in group["versions"][0]["resources"]}
    assert shown["pods"]["scope"] == "Namespaced"
    assert shown["nodes"]["scope"] == "Cluster"
    assert {part["subresource"] for part in shown["pods"]["subresources"]} >= {"log", "binding"}
    assert {item["metadata"]["name"] for item in rest["items"]} >= {"apps"}


def test_the_content_type_is_what_was_asked_for_in_full() -> None:
    document = discovery.answer("/apis", f"{AGGREGATED},application/json")
    assert document is not None
    assert document.content_type == AGGREGATED
    assert discovery.answer("/apis", f"{AGGREGATED},application/json") is document


@pytest.mark.parametrize("path", ["/", "/version", "/apis/none", "/apis/apps/v9", "/api/v9", "/x"])
def test_other_paths_are_not_answered(path: str) -> None:
    assert discovery.answer(path, "") is None


def test_a_group_version_has_no_aggregated_form() -> None:
    with pytest.raises(errors.NotAcceptable):
        discovery.answer("/apis/apps/v1", AGGREGATED)
