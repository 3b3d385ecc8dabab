import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import field_selectors, kinds
from podling.kube.field_selectors import FieldRequirement, FieldSelector
from podling.kube.label_selectors import SelectorError


def test_terms_are_parsed() -> None:
    selector = field_selectors.parse("spec.nodeName=node-1,status.phase!=Failed,a==b,")
    assert selector.requirements == (
        FieldRequirement("spec.nodeName", "=", "node-1"),
        FieldRequirement("status.phase", "!=", "Failed"),
        FieldRequirement("a", "=", "b"),
    )
    assert selector.matches({"spec.nodeName": "node-1", "a": "b"})
    assert not selector.matches({"spec.nodeName": "node-1", "a": "b", "status.phase": "Failed"})
    assert selector.required("spec.nodeName") == "node-1"
    assert selector.required("status.phase") is None


def test_an_empty_selector_matches_everything() -> None:
    assert field_selectors.parse("").matches({})


def test_an_absent_field_is_empty() -> None:
    assert field_selectors.parse("spec.nodeName=").matches({})
    assert not field_selectors.parse("spec.nodeName!=").matches({})


@pytest.mark.parametrize("text", ["a", "a,b=c", "a=b=c", "a=\\x", "a=\\"])
def test_malformed_selectors_are_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        field_selectors.parse(text)


def test_a_field_that_cannot_be_selected_by_is_refused() -> None:
    assert field_selectors.parse_for(kinds.POD, "spec.nodeName=a").requirements
    with pytest.raises(SelectorError, match=r"field label not supported: spec\.color"):
        field_selectors.parse_for(kinds.POD, "spec.color=red")


def test_an_objects_fields_are_texts_with_their_defaults() -> None:
    pod = {"metadata": {"name": "a", "namespace": "b"}, "spec": {"hostNetwork": True}}
    found = field_selectors.values(kinds.POD, pod)
    assert found["metadata.name"] == "a"
    assert found["spec.hostNetwork"] == "true"
    assert found["spec.nodeName"] == ""
    assert field_selectors.values(kinds.NODE, {})["spec.unschedulable"] == "false"
    replicas = field_selectors.values(kinds.REPLICA_SET, {"status": {"replicas": 3}})
    assert replicas["status.replicas"] == "3"
    event = {"source": {"component": "kubelet"}, "metadata": None}
    assert field_selectors.values(kinds.EVENT, event)["source"] == "kubelet"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["=", "!="]), st.text())))
def test_a_printed_selector_is_parsed_back(terms: list[tuple[str, str, str]]) -> None:
    selector = FieldSelector(tuple(FieldRequirement(*term) for term in terms))
    assert field_selectors.parse(str(selector)) == selector


@given(st.text(alphabet="a=!,\\. ", max_size=20) | st.text())
def test_any_text_is_a_selector_or_a_selector_error(text: str) -> None:
    with contextlib.suppress(SelectorError):
        field_selectors.parse(text)
