from podling.kube import kinds


def test_the_core_group_has_paths_of_its_own() -> None:
    assert kinds.POD.path("web", "a", "status") == "/api/v1/namespaces/web/pods/a/status"
    assert kinds.POD.path() == "/api/v1/pods"
    assert kinds.NODE.path(name="node-1") == "/api/v1/nodes/node-1"


def test_other_groups_are_below_apis() -> None:
    assert kinds.DEPLOYMENT.path("web") == "/apis/apps/v1/namespaces/web/deployments"


def test_a_kind_without_namespaces_ignores_one() -> None:
    assert kinds.NODE.path("web", "node-1") == "/api/v1/nodes/node-1"
    assert kinds.NODE.storage_key("web", "node-1") == b"/registry/minions/node-1"


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert kinds.POD.path("a/b", "../c%") == "/api/v1/namespaces/a%2Fb/pods/..%2Fc%25"
    assert kinds.NODE.path(name="system:node") == "/api/v1/nodes/system:node"


def test_objects_lie_where_kube_apiserver_keeps_them() -> None:
    assert kinds.SERVICE.storage_key("web", "a") == b"/registry/services/specs/web/a"
    assert kinds.ENDPOINT_SLICE.storage_range("web") == b"/registry/endpointslices/web/"
    assert kinds.LEASE.storage_range() == b"/registry/leases/"


def test_every_built_in_kind_is_found_by_both_its_names() -> None:
    for kind in kinds.BUILT_IN:
        assert kinds.find(kind.group, kind.version, kind.plural) is kind
        assert kinds.find_kind(kind.api_version, kind.kind) is kind
    assert kinds.find("", "v1", "deployments") is None
    assert kinds.find_kind("apps/v1beta1", "Deployment") is None


def test_messages_name_a_kind_with_its_group() -> None:
    assert kinds.DEPLOYMENT.resource == "deployments.apps"
    assert kinds.DEPLOYMENT.qualified_kind == "Deployment.apps"
    assert kinds.POD.resource == "pods"


def test_scale_is_a_kind_of_another_group() -> None:
    scale = kinds.DEPLOYMENT.subresource("scale")
    assert scale is not None
    assert (scale.api_version, scale.kind) == ("autoscaling/v1", "Scale")
    assert kinds.POD.subresource("scale") is None


def test_kinds_can_be_keys() -> None:
    assert len(set(kinds.BUILT_IN)) == len(kinds.BUILT_IN) == 12
