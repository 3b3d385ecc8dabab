"""Bodies recorded from the real kubectl 1.37.1, beside what it says the same objects are in JSON
(`kubectl create … --dry-run=client -o json`), and a few written by hand."""

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import protobuf, schema
from podling.kube.protobuf import ProtobufError

RECORDED = json.loads((Path(__file__).parent / "data" / "kubectl_protobuf.json").read_text())


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def envelope(api_version: str, kind: str, raw: bytes, rest: bytes = b"") -> bytes:
    names = field(1, api_version) + field(2, kind)
    return b"k8s\0" + field(1, names) + field(2, raw) + field(3, "") + field(4, "") + rest


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_what_kubectl_sends_is_what_it_says_in_json(name: str) -> None:
    recorded = RECORDED[name]
    assert protobuf.decode(base64.b64decode(recorded["body"])) == recorded["object"]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_what_kubectl_sends_passes_the_schema(name: str) -> None:
    obj = protobuf.decode(base64.b64decode(RECORDED[name]["body"]))
    type_name = schema.type_named(obj["apiVersion"], obj["kind"])
    assert type_name is not None
    findings = schema.check(type_name, obj)
    assert (findings.errors, findings.unknown) == ([], [])


def test_delete_options_come_under_any_version() -> None:
    raw = field(1, 0) + field(2, field(1, "u-1")) + field(4, "Background") + field(5, "All")
    for version in ("v1", "meta.k8s.io/v1", "example.com/v2"):
        assert protobuf.decode(envelope(version, "DeleteOptions", raw)) == {
            "apiVersion": version,
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": "u-1"},
            "propagationPolicy": "Background",
            "dryRun": ["All"],
        }


def test_a_lease_keeps_its_microseconds() -> None:
    spec = field(1, "me") + field(2, 15) + field(4, field(1, 1136214245) + field(2, 123456789))
    lease = protobuf.decode(
        envelope("coordination.k8s.io/v1", "Lease", field(1, field(1, "l")) + field(2, spec))
    )
    assert lease["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "renewTime": "2006-01-02T15:04:05.123456Z",
    }


def test_pointers_to_zero_are_kept_and_plain_zeros_dropped() -> None:
    spec = field(1, 0) + field(5, 0)
    obj = protobuf.decode(envelope("apps/v1", "Deployment", field(2, spec)))
    assert obj["spec"] == {"replicas": 0}


def test_negative_numbers_and_managed_fields() -> None:
    entry = field(1, "m") + field(4, field(1, 1136214245)) + field(7, field(1, '{"f:a":{}}'))
    raw = field(1, field(1, "p") + field(17, entry)) + field(2, -5)
    obj = protobuf.decode(envelope("scheduling.k8s.io/v1", "PriorityClass", raw))
    assert obj["value"] == -5
    assert obj["metadata"]["managedFields"] == [
        {"manager": "m", "time": "2006-01-02T15:04:05Z", "fieldsV1": {"f:a": {}}}
    ]


def test_lists_of_numbers_may_be_packed() -> None:
    context = field(4, varint(1) + varint(300)) + field(4, 7)
    pod = protobuf.decode(envelope("v1", "Pod", field(2, field(14, context))))
    assert pod["spec"]["securityContext"] == {"supplementalGroups": [1, 300, 7]}


def test_unknown_fields_are_passed_over() -> None:
    strange = (
        field(900, 1) + field(901, "x") + varint(902 << 3 | 1) + b"\0" * 8
        + varint(903 << 3 | 5) + b"\0" * 4
    )  # fmt: skip
    raw = strange + field(1, strange + field(1, "a"))
    assert protobuf.decode(envelope("v1", "ConfigMap", raw, strange)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
    }


def test_a_schema_in_a_custom_resource_definition() -> None:
    inner = field(5, "integer") + field(20, field(1, "3")) + field(20, field(1, "null"))
    props = field(5, "object") + field(30, field(1, 1) + field(2, inner))
    version = field(1, "v1") + field(4, field(1, props))
    raw = field(2, field(7, version))
    obj = protobuf.decode(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw))
    assert obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "additionalProperties": {"type": "integer", "enum": [3, None]},
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "does not begin with"),
        (b"{}", "does not begin with"),
        (b"k8s\0", 'no kind "" is registered'),
        (envelope("v1", "Nothing", b""), 'no kind "Nothing" is registered for version "v1"'),
        (envelope("v1", "Pod", b"")[:-9], "cut short|beyond"),
        (envelope("v1", "Pod", b"\x0a\x05abc"), "beyond"),
        (envelope("v1", "Pod", b"\x0a"), "cut short"),
        (envelope("v1", "Pod", b"\xff" * 12), "longer than 64 bits"),
        (envelope("v1", "Pod", field(1, field(1, b"\xff"))), "malformed"),
        (envelope("v1", "Pod", b"\x0b"), "wire type 3"),
        (b"k8s\0" + field(3, "gzip"), "gzip"),
        (b"k8s\0" + field(2, b"[]") + field(4, "application/json"), "not an object"),
        (
            envelope("v1", "Pod", field(1, field(8, field(1, 1 << 62)))),
            "malformed",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(body: bytes, text: str) -> None:
    with pytest.raises(ProtobufError, match=text):
        protobuf.decode(body)


def test_nesting_has_its_limit() -> None:
    props = b""
    for _ in range(3000):
        props = field(28, props)
    raw = field(2, field(7, field(4, field(1, props))))
    with pytest.raises(ProtobufError, match="nested too deeply"):
        protobuf.decode(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw))
    json_raw = field(1, b"[" * 300 + b"]" * 300)
    with pytest.raises(ProtobufError, match="nested too deeply"):
        protobuf.decode(envelope("apps/v1", "ControllerRevision", field(2, json_raw)))


@given(st.sampled_from(sorted(RECORDED)), st.data())
def test_damaged_bodies_are_read_or_refused(name: str, data: st.DataObject) -> None:
    body = bytearray(base64.b64decode(RECORDED[name]["body"]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(4, len(body) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(body)))
    for damaged in (bytes(body), bytes(body[:end])):
        try:
            obj: Any = protobuf.decode(damaged)
            assert isinstance(obj, dict)
        except ProtobufError:
            pass


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_a_protobuf_error(raw: bytes) -> None:
    for body in (raw, b"k8s\0" + raw, envelope("v1", "Pod", raw)):
        with contextlib.suppress(ProtobufError):
            protobuf.decode(body)
