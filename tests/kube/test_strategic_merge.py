import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import schema, strategic_merge
from podling.kube.kinds import DEPLOYMENT, POD, SERVICE
from podling.kube.strategic_merge import StrategicMergeError
from tests.kube.json_values import OBJECTS, VALUES

POD_TYPE = schema.type_of(POD)
SERVICE_TYPE = schema.type_of(SERVICE)
DEPLOYMENT_TYPE = schema.type_of(DEPLOYMENT)


def containers(*names: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": f"{name}:1"} for name in names]}}


def merged_names(doc: dict[str, Any], patch: dict[str, Any]) -> str:
    spec = strategic_merge.apply(doc, {"spec": patch}, POD_TYPE)["spec"]
    return "".join(one["name"] for one in spec["containers"])


def test_containers_are_merged_by_name() -> None:
    patch = {"spec": {"containers": [{"name": "b", "image": "b:2"}]}}
    assert strategic_merge.apply(containers("a", "b"), patch, POD_TYPE) == {
        "spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]}
    }


def test_merging_reaches_into_a_deployments_template() -> None:
    doc = {"spec": {"replicas": 1, "template": containers("a", "b")}}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "a", "tty": True}]}}}}
    merged = strategic_merge.apply(doc, patch, DEPLOYMENT_TYPE)["spec"]
    assert merged["replicas"] == 1
    assert merged["template"]["spec"]["containers"] == [
        {"name": "a", "image": "a:1", "tty": True},
        {"name": "b", "image": "b:1"},
    ]


def test_what_kubectl_set_image_sends() -> None:
    """Recorded from kubectl 1.37."""
    patch = {
        "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"image": "busybox", "name": "b"}],
    }
    merged = strategic_merge.apply(containers("a", "b"), {"spec": patch}, POD_TYPE)
    assert merged == {
        "spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "busybox"}]}
    }


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([{"name": "c"}], "abc"),
        ([{"name": "d"}], "dabc"),
        ([{"name": "c"}, {"name": "a"}], "bca"),
        ([{"name": "b", "$patch": "delete"}], "ac"),
        ([{"name": "x", "$patch": "delete"}], "abc"),
        ([{"$patch": "replace"}, {"name": "z"}], "z"),
        ([{"$patch": "replace"}], ""),
        ([], "abc"),
    ],
)
def test_the_order_of_merged_items(patch: list[Any], expected: str) -> None:
    assert merged_names(containers("a", "b", "c"), {"containers": patch}) == expected


@pytest.mark.parametrize(
    ("order", "patch", "expected"),
    [
        ("cba", None, "cba"),
        ("ca", None, "bca"),
        ("adbc", [{"name": "d"}], "adbc"),
        ("ad", [{"name": "d"}], "adbc"),
        ("ba", [{"name": "c", "$patch": "delete"}], "ba"),
    ],
)
def test_set_element_order(order: str, patch: list[Any] | None, expected: str) -> None:
    directive: dict[str, Any] = {"$setElementOrder/containers": [{"name": name} for name in order]}
    if patch is not None:
        directive["containers"] = patch
    assert merged_names(containers("a", "b", "c"), directive) == expected


def test_service_ports_are_merged_by_port_alone() -> None:
    doc = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}
    patch = {"spec": {"ports": [{"port": 53, "protocol": "TCP"}]}}
    assert strategic_merge.apply(doc, patch, SERVICE_TYPE)["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP"},
        {"port": 53, "protocol": "TCP"},
    ]


def test_a_list_without_a_merge_key_is_replaced() -> None:
    doc = {
        "spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a", "args": ["1", "2"]}]}
    }
    patch = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}}
    assert strategic_merge.apply(doc, patch, POD_TYPE) == {
        "spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}
    }


def test_finalizers_are_a_set_of_values() -> None:
    doc = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic_merge.apply(doc, {"metadata": {"finalizers": ["b", "c"]}}, POD_TYPE)
    assert sorted(added["metadata"]["finalizers"]) == ["a", "b", "c"]
    removed = strategic_merge.apply(
        doc, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}}, POD_TYPE
    )
    assert removed == {"metadata": {"finalizers": ["b"]}}


def test_null_removes_a_field_and_a_label() -> None:
    doc = {"metadata": {"labels": {"a": "1", "b": "2"}, "name": "x"}}
    patch = {"metadata": {"labels": {"a": None, "zone": None}, "name": None}}
    assert strategic_merge.apply(doc, patch, POD_TYPE) == {"metadata": {"labels": {"b": "2"}}}


def test_an_object_can_be_replaced_or_emptied() -> None:
    doc = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    replaced = {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}
    assert strategic_merge.apply(doc, replaced, DEPLOYMENT_TYPE) == {
        "spec": {"strategy": {"type": "Recreate"}}
    }
    emptied = {"spec": {"strategy": {"$patch": "delete"}}}
    assert strategic_merge.apply(doc, emptied, DEPLOYMENT_TYPE) == {"spec": {"strategy": {}}}


def test_retain_keys_drops_the_other_fields() -> None:
    doc = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge.apply(doc, patch, DEPLOYMENT_TYPE) == {
        "spec": {"strategy": {"type": "Recreate"}}
    }


def test_no_directive_is_ever_stored() -> None:
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [
                {"name": "a", "$retainKeys": ["name"]},
                {"name": "b", "$patch": "delete"},
            ],
            "strange": {"$patch": "replace", "a": None},
        }
    }
    assert strategic_merge.apply({}, patch, POD_TYPE) == {
        "spec": {"containers": [{"name": "a"}], "strange": {}}
    }


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ([], "must be a JSON object"),
        ({"spec": {"containers": [{"image": "x"}]}}, "does not contain declared merge key: name"),
        ({"spec": {"containers": ["a"]}}, "can hold only objects"),
        ({"spec": {"containers": [{"name": "a", "$patch": "shuffle"}]}}, "unknown value 'shuffle'"),
        ({"spec": {"$patch": "merge"}}, "unknown value 'merge'"),
        ({"spec": {"$retainKeys": ["a"], "hostname": "x"}}, "does not name 'hostname'"),
        ({"spec": {"$retainKeys": "a"}}, "must be a list"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}, "must be a list"),
        ({"metadata": {"finalizers": [{}]}}, "plain values"),
        (
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "b"}],
                    "containers": [{"name": "a"}],
                }
            },
            "'a' in the patch is missing from",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(patch: Any, text: str) -> None:
    with pytest.raises(StrategicMergeError, match=text):
        strategic_merge.apply(containers("a", "b"), patch, POD_TYPE)


RECORDED = json.loads((Path(__file__).parent / "data" / "kubectl_strategic_merge.json").read_text())
"""Random pods and patches, and what kubectl 1.37.1 makes of them (`kubectl patch --local`)."""


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: json.dumps(case["patch"])[:60])
def test_kubectl_merges_the_same(case: dict[str, Any]) -> None:
    assert strategic_merge.apply(case["doc"], case["patch"], POD_TYPE) == case["result"]


NAMES = st.lists(st.sampled_from("abcde"), unique=True).map("".join)


@given(NAMES, NAMES)
def test_merging_keeps_every_item_and_both_orders(old: str, new: str) -> None:
    patch = {"containers": [{"name": name} for name in new]}
    names = merged_names(containers(*old), patch)
    assert sorted(names) == sorted(set(old) | set(new))
    assert [name for name in names if name in new] == list(new)
    others = [name for name in old if name not in new]
    assert [name for name in names if name not in new] == others


@given(NAMES, NAMES)
def test_merging_twice_is_merging_once(old: str, new: str) -> None:
    patch = {"spec": {"containers": [{"name": name, "image": "new"} for name in new]}}
    once = strategic_merge.apply(containers(*old), patch, POD_TYPE)
    assert strategic_merge.apply(once, patch, POD_TYPE) == once


DIRECTIVES = st.dictionaries(
    st.sampled_from(
        ["containers", "$patch", "$retainKeys", "$setElementOrder/containers", "volumes",
         "$deleteFromPrimitiveList/containers", "nodeSelector", "hostname"]
    ),
    VALUES | st.lists(st.fixed_dictionaries({"name": VALUES}, optional={"$patch": VALUES})),
)  # fmt: skip


@given(
    st.fixed_dictionaries({}, optional={"spec": DIRECTIVES, "metadata": OBJECTS}),
    st.fixed_dictionaries({}, optional={"spec": DIRECTIVES, "metadata": OBJECTS}) | VALUES,
)
def test_any_patch_gives_an_object_or_an_error_and_leaves_its_input(
    doc: dict[str, Any], patch: Any
) -> None:
    before = copy.deepcopy((doc, patch))
    with contextlib.suppress(StrategicMergeError):
        assert isinstance(strategic_merge.apply(doc, patch, POD_TYPE), dict)
    assert (doc, patch) == before
