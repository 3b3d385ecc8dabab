from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import kinds, schema, schema_table
from tests.kube.json_values import VALUES


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def errors(kind: kinds.Kind, obj: Any) -> list[str]:
    return [str(error) for error in schema.check(kind, obj).errors]


def test_a_good_pod_passes_unchanged() -> None:
    obj = pod(restartPolicy="Never", hostNetwork=True, terminationGracePeriodSeconds=0)
    findings = schema.check(kinds.POD, obj)
    assert (findings.errors, findings.unknown) == ([], [])
    assert obj == pod(restartPolicy="Never", hostNetwork=True, terminationGracePeriodSeconds=0)


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"hostname": 1}, 'spec.hostname: Invalid value: "integer": must be of type string'),
        (
            {"hostNetwork": "yes"},
            'spec.hostNetwork: Invalid value: "string": must be of type boolean',
        ),
        ({"priority": True}, 'spec.priority: Invalid value: "boolean": must be of type integer'),
        ({"priority": 1.5}, 'spec.priority: Invalid value: "number": must be of type integer'),
        ({"priority": 2**31}, "spec.priority: Invalid value: 2147483648: must fit into 32 bits"),
        ({"containers": {}}, 'spec.containers: Invalid value: "object": must be of type array'),
        (
            {"containers": [1]},
            'spec.containers[0]: Invalid value: "integer": must be of type object',
        ),
        ({"nodeSelector": []}, 'spec.nodeSelector: Invalid value: "array": must be of type object'),
        (
            {"nodeSelector": {"a/b": 1}},
            'spec.nodeSelector[a/b]: Invalid value: "integer": must be of type string',
        ),
        (
            {"containers": [{"name": "c", "args": ["a", 1]}]},
            'spec.containers[0].args[1]: Invalid value: "integer": must be of type string',
        ),
        ({"containers": [{"image": "i"}]}, "spec.containers[0].name: Required value"),
        (
            {"restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: '
            '"Always", "Never", "OnFailure"',
        ),
        (
            {"overhead": {"cpu": "lots"}},
            'spec.overhead[cpu]: Invalid value: "lots": quantities must',
        ),
        (
            {"containers": [{"name": "c", "livenessProbe": {"httpGet": {"port": 1.5}}}]},
            'spec.containers[0].livenessProbe.httpGet.port: Invalid value: "number": '
            "must be of type integer or string",
        ),
    ],
)
def test_an_error_names_its_field(spec: dict[str, Any], error: str) -> None:
    (found,) = errors(kinds.POD, pod(**spec))
    assert found.startswith(error)


def test_only_wrong_types_make_an_object_unreadable() -> None:
    findings = schema.check(kinds.POD, pod(restartPolicy="X", hostname=1))
    assert [error.field for error in findings.type_errors] == ["spec.hostname"]
    assert len(findings.errors) == 2


def test_unknown_fields_are_reported_and_removed() -> None:
    obj = pod(colour="red", containers=[{"name": "c", "imag": "i"}])
    findings = schema.check(kinds.POD, obj)
    assert findings.unknown == ["spec.containers[0].imag", "spec.colour"]
    assert findings.errors == []
    assert obj["spec"] == {"containers": [{"name": "c"}]}
    assert schema.unknown_field_texts(findings)[1] == 'unknown field "spec.colour"'


def test_nulls_and_empty_stanzas_that_go_programs_send_are_tolerated() -> None:
    obj: dict[str, Any] = {
        "metadata": {"name": "a", "creationTimestamp": None, "labels": {"x": None}},
        "spec": {"selector": {}, "strategy": {}, "template": {"spec": {"containers": None}}},
        "status": {},
    }
    findings = schema.check(kinds.DEPLOYMENT, obj)
    assert (findings.errors, findings.unknown) == ([], [])
    assert obj["metadata"] == {"name": "a", "labels": {"x": ""}}
    assert obj["spec"]["template"] == {"spec": {}}


def test_status_need_not_be_complete() -> None:
    assert errors(kinds.POD, pod() | {"status": {"conditions": [{}], "phase": "Running"}}) == []
    assert errors(kinds.POD, pod() | {"status": {"phase": 1}}) != []


def test_quantities_and_times_take_their_canonical_form() -> None:
    obj = pod(overhead={"cpu": 0.5, "memory": "1024Mi", "x": 2})
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00.5+01:00"
    assert errors(kinds.POD, obj) == []
    assert obj["spec"]["overhead"] == {"cpu": "500m", "memory": "1Gi", "x": "2"}
    assert obj["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    lease: dict[str, Any] = {
        "metadata": {"name": "a"},
        "spec": {"renewTime": "2026-01-01T00:00:00.123456Z"},
    }
    assert errors(kinds.LEASE, lease) == []
    assert lease["spec"]["renewTime"] == "2026-01-01T00:00:00.123456Z"


def test_a_secret_value_is_never_in_a_message() -> None:
    for value in ("hunter2!", 12345, ["hunter2!"]):
        (error,) = errors(kinds.SECRET, {"data": {"password": value}})
        assert error.startswith("data[password]: Invalid value")
        assert "hunter2" not in error
        assert "12345" not in error
    assert errors(kinds.SECRET, {"data": {"password": "aHVu\ndGVyMg=="}}) == []


def test_what_kube_apiserver_does_not_demand_is_not_demanded() -> None:
    slice_ = {"metadata": {"name": "a"}, "addressType": "IPv4"}
    assert errors(kinds.ENDPOINT_SLICE, slice_) == []


@pytest.mark.parametrize("obj", [None, [], "pod", 1])
def test_an_object_must_be_an_object(obj: Any) -> None:
    assert len(schema.check(kinds.POD, obj).type_errors) == 1


def test_free_form_objects_keep_their_fields() -> None:
    owner = {"manager": "m", "fieldsV1": {"f:metadata": {"f:name": {}}}}
    obj = pod()
    obj["metadata"]["managedFields"] = [dict(owner)]
    assert schema.check(kinds.POD, obj).unknown == []
    assert obj["metadata"]["managedFields"] == [owner]


def test_nesting_has_its_limit() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"not": deep}
    body = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": deep}}]}}
    name = schema.type_named("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert name is not None
    assert "nested too deeply" in schema.check(name, body).errors[-1].message


def test_every_built_in_kind_and_subresource_has_a_type() -> None:
    for kind in kinds.BUILT_IN:
        assert schema.type_of(kind).endswith(f".{kind.kind}")
    assert schema.type_named("autoscaling/v1", "Scale") == "io.k8s.api.autoscaling.v1.Scale"
    assert schema.type_named("v1", "Binding") is not None
    assert schema.type_named("policy/v1", "Eviction") is not None
    assert schema.type_named("v1", "Nothing") is None


def test_every_type_in_the_table_can_be_used() -> None:
    for name in schema_table.openapi_types():
        for field in schema_table.find(name).fields.values():
            if field.type_name:
                assert schema_table.find(field.type_name).fields


def test_server_side_apply_and_strategic_merge_have_keys_of_their_own() -> None:
    ports = schema_table.find("io.k8s.api.core.v1.ServiceSpec").fields["ports"]
    assert (ports.list_type, ports.list_map_keys) == ("map", ("port", "protocol"))
    assert (set(ports.patch_strategies), ports.patch_merge_key) == ({"merge"}, "port")


def test_openapi_components_are_closed_under_reference() -> None:
    components = schema.openapi_components([schema.type_of(kinds.DEPLOYMENT)])
    text = str(components)
    for name in components:
        assert "description" not in components[name]
    targets = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert targets <= components.keys()
    deployment = components["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "kind": "Deployment", "version": "v1"}
    ]
    assert deployment["properties"]["metadata"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
    }
    containers = components["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["type"] == "array"


def test_a_property_called_ref_is_not_a_reference() -> None:
    name = schema.type_named("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert name is not None
    components = schema.openapi_components([name])
    props = components["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"]
    assert props["properties"]["$ref"] == {"type": "string"}


POD_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": VALUES, "creationTimestamp": VALUES, "ownerReferences": VALUES}
        )
        | VALUES,
        "spec": st.fixed_dictionaries(
            {}, optional={"containers": VALUES, "overhead": VALUES, "priority": VALUES}
        )
        | VALUES,
        "status": VALUES,
    },
)


@given(POD_LIKE | VALUES)
def test_any_json_is_checked_and_then_checks_the_same(obj: Any) -> None:
    first = schema.check(kinds.POD, obj)
    if not first.type_errors:
        second = schema.check(kinds.POD, obj)
        assert second.unknown == []
        assert second.type_errors == []
