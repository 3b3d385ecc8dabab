from collections.abc import Mapping

import pytest

from podling.controlplane.apiserver.request import routes
from podling.kube import errors, kinds

NO_QUERY: Mapping[str, str] = {}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", kinds.POD, "", "", "")),
        ("GET", "/api/v1/pods/", ("list", kinds.POD, "", "", "")),
        ("GET", "/api/v1/namespaces/web/pods", ("list", kinds.POD, "web", "", "")),
        ("HEAD", "/api/v1/namespaces/web/pods/a", ("get", kinds.POD, "web", "a", "")),
        ("POST", "/api/v1/namespaces/web/pods", ("create", kinds.POD, "web", "", "")),
        ("PUT", "/api/v1/namespaces/web/pods/a", ("update", kinds.POD, "web", "a", "")),
        ("PATCH", "/api/v1/namespaces/web/pods/a", ("patch", kinds.POD, "web", "a", "")),
        ("DELETE", "/api/v1/namespaces/web/pods/a", ("delete", kinds.POD, "web", "a", "")),
        ("DELETE", "/api/v1/namespaces/web/pods", ("deletecollection", kinds.POD, "web", "", "")),
        ("GET", "/api/v1/namespaces/web/pods/a/log", ("get", kinds.POD, "web", "a", "log")),
        ("GET", "/api/v1/namespaces", ("list", kinds.NAMESPACE, "", "", "")),
        ("GET", "/api/v1/namespaces/web", ("get", kinds.NAMESPACE, "", "web", "")),
        (
            "PUT",
            "/api/v1/namespaces/web/finalize",
            ("update", kinds.NAMESPACE, "", "web", "finalize"),
        ),
        ("PUT", "/api/v1/nodes/n/status", ("update", kinds.NODE, "", "n", "status")),
        ("GET", "/api/v1/watch/pods", ("watch", kinds.POD, "", "", "")),
        ("GET", "/api/v1/watch/namespaces/web/pods/a", ("watch", kinds.POD, "web", "a", "")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/web/deployments/d/scale",
            ("patch", kinds.DEPLOYMENT, "web", "d", "scale"),
        ),
    ],
)
def test_request_lines_become_routes(method: str, path: str, expected: object) -> None:
    route = routes.parse(method, path, NO_QUERY)
    assert route.is_resource
    found = (route.verb, route.kind, route.namespace, route.name, route.subresource)
    assert found == expected


@pytest.mark.parametrize(
    ("value", "verb"), [("true", "watch"), ("1", "watch"), ("", "watch"), ("0", "list")]
)
def test_the_watch_parameter_turns_a_list_into_a_watch(value: str, verb: str) -> None:
    assert routes.parse("GET", "/api/v1/pods", {"watch": value}).verb == verb


def test_names_are_percent_decoded_and_an_encoded_slash_does_not_split() -> None:
    route = routes.parse("GET", "/api/v1/namespaces/web/pods/a%2Fb", NO_QUERY)
    assert route.name == "a/b"


def test_what_follows_a_subresource_is_its_tail() -> None:
    route = routes.parse("GET", "/api/v1/namespaces/web/pods/a/proxy/x/y", NO_QUERY)
    assert (route.subresource, route.tail) == ("proxy", "x/y")


@pytest.mark.parametrize(
    ("path", "clean"),
    [("/version", "/version"), ("/", "/"), ("//api/v1/", "/api/v1"), ("/apis/apps/v1", None)],
)
def test_other_paths_are_no_resources(path: str, clean: str | None) -> None:
    route = routes.parse("GET", path, NO_QUERY)
    assert not route.is_resource
    assert route.verb == "get"
    assert route.path == (clean or path)


def test_a_field_selector_on_the_name_is_told_to_the_authoriser() -> None:
    query = {"fieldSelector": "metadata.name=n,spec.unschedulable=false"}
    assert routes.parse("GET", "/api/v1/nodes", query).selected_name == "n"
    assert routes.parse("GET", "/api/v1/nodes", {"fieldSelector": "=\\"}).selected_name == ""


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/widgets",
        "/apis/none/v1/pods",
        "/api/v1/namespaces/web/nodes",
        "/api/v1/pods/a",
        "/api/v1/nodes/n/nothing",
    ],
)
def test_what_is_not_served_is_not_found(path: str) -> None:
    with pytest.raises(errors.NotFound, match="could not find the requested resource"):
        routes.require_served(routes.parse("GET", path, NO_QUERY))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/pods"),
        ("DELETE", "/api/v1/pods"),
        ("POST", "/api/v1/namespaces/web/pods/a"),
        ("OPTIONS", "/api/v1/namespaces/web/pods/a"),
        ("DELETE", "/api/v1/namespaces/web/pods/a/status"),
    ],
)
def test_verbs_that_a_resource_lacks_are_not_allowed(method: str, path: str) -> None:
    with pytest.raises(errors.MethodNotAllowed):
        routes.require_served(routes.parse(method, path, NO_QUERY))


def test_what_is_served_gives_its_kind() -> None:
    route = routes.parse("PUT", "/api/v1/namespaces/web/pods/a/status", NO_QUERY)
    assert routes.require_served(route) is kinds.POD
