import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import label_selectors
from podling.kube.label_selectors import LabelSelector, SelectorError

LABELS = {"app": "web", "tier": "front", "level": "7", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=web,tier=back", False),
        ("app!=web", False),
        ("none!=web", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("none in (db)", False),
        ("app notin (db,cache)", True),
        ("none notin (db)", True),
        ("app notin (web)", False),
        ("app", True),
        ("none", False),
        ("!app", False),
        ("! none", True),
        ("level>6", True),
        ("level < 7", False),
        ("app>1", False),
        ("none>1", False),
        ("empty=", True),
        ("app=", False),
        ("empty in (,x)", True),
        ("empty in ()", True),
        ("in in (in)", False),
        ("app=web,", None),
        ("app in web", None),
        ("app in (web", None),
        ("app in (web db)", None),
        ("=web", None),
        (",app", None),
        ("!", None),
        ("!app=web", None),
        ("app web", None),
        ("app=(web)", None),
        ("level>x", None),
        ("a/b/c", None),
        ("app=-x", None),
        ("app=a b", None),
    ],
)
def test_what_a_selector_says_of_labels(text: str, matches: bool | None) -> None:
    if matches is None:
        with pytest.raises(SelectorError):
            label_selectors.parse(text)
    else:
        assert label_selectors.parse(text).matches(LABELS) is matches


def test_printing_is_in_the_order_of_keys() -> None:
    selector = label_selectors.parse("z, b in (2,1) ,!a,c!=3,d>4,e==5,f notin (x)")
    assert str(selector) == "!a,b in (1,2),c!=3,d>4,e=5,f notin (x),z"


def test_errors_say_what_was_found() -> None:
    with pytest.raises(SelectorError, match="found ',', expected: !, identifier"):
        label_selectors.parse(",")
    with pytest.raises(SelectorError, match="found 'b', expected: in, notin, =, ==, !=, gt, lt"):
        label_selectors.parse("a b")


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not label_selectors.from_object(None).matches({})
    assert label_selectors.from_object({}).matches({})
    assert label_selectors.from_object({}).matches_everything
    assert not label_selectors.NOTHING.matches_everything
    assert label_selectors.from_map(None).matches_everything


def test_objects_spell_selectors_too() -> None:
    selector = label_selectors.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "gone", "operator": "DoesNotExist"},
                {"key": "level", "operator": "Exists", "values": []},
                {"key": "zone", "operator": "NotIn", "values": ["a"]},
            ],
        }
    )
    assert str(selector) == "app=web,!gone,level,tier in (back,front),zone notin (a)"
    assert selector.matches(LABELS)
    assert label_selectors.from_map({"app": "web"}).matches(LABELS)


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "a", "operator": "Near"},
        {"key": "a"},
        {"key": "a", "operator": "In"},
        {"key": "a", "operator": "Exists", "values": ["x"]},
        {"key": "a", "operator": "In", "values": [1]},
        {"key": 1, "operator": "Exists"},
        {"operator": "Exists"},
    ],
)
def test_an_illegal_expression_is_refused(expression: dict[str, object]) -> None:
    with pytest.raises(SelectorError):
        label_selectors.from_object({"matchExpressions": [expression]})


KEYS = st.sampled_from(["a", "b", "in", "notin", "example.com/x"])
VALUES = st.sampled_from(["", "1", "x", "in", "y.z"])
REQUIREMENTS = st.one_of(
    KEYS,
    KEYS.map(lambda key: f"!{key}"),
    st.tuples(KEYS, st.sampled_from(["=", "!="]), VALUES).map("".join),
    st.tuples(KEYS, st.sampled_from(["<", ">"]), st.integers(0, 9)).map(
        lambda parts: f"{parts[0]}{parts[1]}{parts[2]}"
    ),
    st.tuples(KEYS, st.sampled_from(["in", "notin"]), st.lists(VALUES, min_size=1)).map(
        lambda parts: f"{parts[0]} {parts[1]} ({','.join(parts[2])})"
    ),
)


@given(st.lists(REQUIREMENTS, max_size=4), st.dictionaries(KEYS, VALUES))
def test_a_printed_selector_means_the_same(parts: list[str], labels: dict[str, str]) -> None:
    selector = label_selectors.parse(",".join(parts))
    again = label_selectors.parse(str(selector))
    assert again == selector
    assert again.matches(labels) == selector.matches(labels)
    assert selector.matches(labels) == all(
        label_selectors.parse(part).matches(labels) for part in parts
    )


@given(st.text(alphabet="ab=!<>(), innot\t\\/", max_size=30) | st.text())
def test_any_text_is_a_selector_or_a_selector_error(text: str) -> None:
    with contextlib.suppress(SelectorError):
        assert isinstance(label_selectors.parse(text), LabelSelector)
