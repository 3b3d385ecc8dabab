import pytest

from podling.controlplane.apiserver.request import negotiation
from podling.controlplane.apiserver.request.negotiation import Accepted, PatchType, Shape
from podling.kube import errors

KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,"
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
METADATA_INFORMER = (
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Accepted("application/json")),
        ("*/*", Accepted("application/json")),
        ("application/json", Accepted("application/json")),
        ("application/vnd.kubernetes.protobuf,application/json", Accepted("application/json")),
        ("application/vnd.kubernetes.protobuf, */*", Accepted("application/json")),
        (KUBECTL_GET, Accepted("application/json", Shape.TABLE, "v1")),
        (METADATA_INFORMER, Accepted("application/json", Shape.PARTIAL_LIST, "v1")),
        (
            "application/json, application/json;as=Table;g=meta.k8s.io;v=v1;q=0.5",
            Accepted("application/json"),
        ),
        ("application/json;as=Table;g=other;v=v1, application/json", Accepted("application/json")),
    ],
)
def test_the_first_clause_that_can_be_served_wins(accept: str, expected: Accepted) -> None:
    assert negotiation.negotiate(accept) == expected


def test_discovery_is_answered_with_its_full_type() -> None:
    accepted = negotiation.negotiate(
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
        negotiation.DISCOVERY_SHAPES,
    )
    expected = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert accepted.content_type == expected


def test_a_table_of_what_is_no_list_is_refused() -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    with pytest.raises(errors.NotAcceptable):
        negotiation.negotiate(accept, negotiation.ONLY_PLAIN)


def test_only_what_the_caller_can_write_is_chosen() -> None:
    with pytest.raises(errors.NotAcceptable):
        negotiation.negotiate("application/yaml")
    offered = (negotiation.JSON, negotiation.YAML)
    accepted = negotiation.negotiate("application/yaml", media_types=offered)
    assert accepted.media_type == "application/yaml"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("", negotiation.JSON),
        ("application/json; charset=utf-8", negotiation.JSON),
        ("application/yaml", negotiation.YAML),
        ("application/vnd.kubernetes.protobuf", negotiation.PROTOBUF),
    ],
)
def test_bodies_come_in_three_types(content_type: str, expected: str) -> None:
    assert negotiation.body_type(content_type) == expected


def test_other_bodies_are_refused_naming_what_is_read() -> None:
    with pytest.raises(errors.UnsupportedMediaType, match="application/json, application/yaml"):
        negotiation.body_type("text/plain")


def test_a_patch_says_its_language() -> None:
    supported = (PatchType.JSON_PATCH, PatchType.MERGE)
    found = negotiation.patch_type("application/merge-patch+json", supported)
    assert found is PatchType.MERGE
    with pytest.raises(errors.UnsupportedMediaType, match="json-patch"):
        negotiation.patch_type("application/apply-patch+yaml", supported)
