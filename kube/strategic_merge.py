"""Strategic merge patch: a merge patch that knows which lists are sets and which are maps.

A list whose field has the strategy `merge` is merged item by item, objects by the value of the
field's merge key; every other list is replaced. What a patch cannot say by its shape, it says by
directives:

    {"$patch": "replace", ...}                 take this object as it is, merge nothing
    {"name": "c", "$patch": "delete"}          in a list: remove the item; elsewhere: empty it
    [{"$patch": "replace"}, ...]               take this list as it is
    "$deleteFromPrimitiveList/finalizers": []  remove these values
    "$setElementOrder/containers": [{"name":]  put the items into this order
    "$retainKeys": ["type"]                    drop every field of the object but these

Example, on containers a and b: the patch `[{"name": "b", "image": "x"}]` changes b's image and
leaves all else. Source: the Kubernetes document "Strategic Merge Patch" (sig-api-machinery); the
rule for the order of items is spelled out in `_arrange`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from podling.kube import schema_table
from podling.kube.meta import Object
from podling.kube.schema_table import Field, Form

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"

_Identity = tuple[type, Any]
_Identify = Callable[[Any], _Identity]


class StrategicMergeError(ValueError):
    """The patch is malformed, or does not fit the type."""


def apply(doc: Mapping[str, Any], patch: Any, type_name: str) -> Object:
    """A new document; neither argument is changed, and unchanged parts are shared with them.

    `type_name` is as in `schema.type_of`. Raises StrategicMergeError.
    """
    if not isinstance(patch, dict):
        raise StrategicMergeError("a strategic merge patch must be a JSON object")
    try:
        return _merge_map(doc, patch, Field(Form.STRUCT, type_name))
    except RecursionError:
        raise StrategicMergeError("the strategic merge patch is nested too deeply") from None


def _merge_map(original: Mapping[str, Any], patch: Mapping[str, Any], rule: Field | None) -> Object:
    """Merge an object of the form `rule` says; None where nothing is known about it."""
    match patch.get(PATCH):
        case None:
            result = _retained(original, patch)
        case "replace":
            result = {}
        case "delete":
            return {}
        case other:
            raise StrategicMergeError(f"unknown value {other!r} of {PATCH} in an object")
    for name, value in patch.items():
        if name.startswith("$") and _is_directive(name):
            continue
        if value is None:
            result.pop(name, None)
        else:
            order = patch.get(ORDER_PREFIX + name)
            result[name] = _merge(result.get(name), value, _child(rule, name), order)
    _reorder(result, patch, rule)
    _delete_values(result, patch)
    return result


def _is_directive(name: str) -> bool:
    return name in (PATCH, RETAIN_KEYS) or name.startswith((DELETE_PREFIX, ORDER_PREFIX))


def _child(rule: Field | None, name: str) -> Field | None:
    if rule is None:
        return None
    if rule.form is Form.STRUCT:
        return schema_table.find(rule.type_name).fields.get(name)
    return rule.item if rule.form is Form.MAP else None


def _merge(original: Any, value: Any, rule: Field | None, order: Any) -> Any:
    """One field. An original of another type counts as absent."""
    replaces = rule is not None and "replace" in rule.patch_strategies
    if isinstance(value, dict):
        base = original if isinstance(original, dict) and not replaces else {}
        return _merge_map(base, value, rule)
    if isinstance(value, list) and rule is not None and "merge" in rule.patch_strategies:
        return _merge_list(original if isinstance(original, list) else [], value, rule, order)
    return value


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    """The original with what `$retainKeys` lets stand."""
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(original)
    if not isinstance(keys, list):
        raise StrategicMergeError(f"{RETAIN_KEYS} must be a list of field names")
    for name in patch:
        if not _is_directive(name) and name not in keys:
            raise StrategicMergeError(f"{RETAIN_KEYS} does not name {name!r}, which the patch sets")
    return {name: value for name, value in original.items() if name in keys}


def _reorder(result: Object, patch: Mapping[str, Any], rule: Field | None) -> None:
    """Obey `$setElementOrder` for lists which the patch does not otherwise touch."""
    for directive, order in patch.items():
        name = directive.removeprefix(ORDER_PREFIX)
        child = _child(rule, name)
        items = result.get(name)
        if name == directive or name in patch or child is None or not isinstance(items, list):
            continue
        if "merge" in child.patch_strategies:
            identify = _identifier(child)
            result[name] = _arrange(items, _identities(order, identify), items, identify)


def _delete_values(result: Object, patch: Mapping[str, Any]) -> None:
    for directive, values in patch.items():
        name = directive.removeprefix(DELETE_PREFIX)
        if name == directive:
            continue
        if not isinstance(values, list):
            raise StrategicMergeError(f"{directive} must be a list")
        items = result.get(name)
        if isinstance(items, list):
            gone = {_scalar(value) for value in values}
            result[name] = [item for item in items if _identity(item) not in gone]


# Lists


def _merge_list(original: list[Any], patch: list[Any], rule: Field, order: Any) -> list[Any]:
    identify = _identifier(rule)
    if rule.patch_merge_key:
        additions, replaces, deleted = _directives(patch, identify)
        if replaces:
            return [_merge_map({}, item, rule.item) for item in additions]
        kept = [item for item in original if identify(item) not in deleted]
        merged = _merge_items(kept, additions, rule.item, identify)
    else:
        additions = patch
        merged = _merge_values(original, patch)
    wanted = [identify(item) for item in additions]
    if order:
        given = _identities(order, identify)
        _check_order(wanted, given)
        wanted = given
    return _arrange(merged, wanted, original, identify)


def _directives(patch: list[Any], identify: _Identify) -> tuple[list[Object], bool, set[_Identity]]:
    """What a patch list adds, whether it replaces the list, and which items it deletes."""
    additions: list[Object] = []
    replaces = False
    deleted: set[_Identity] = set()
    for item in patch:
        directive = item.get(PATCH) if isinstance(item, dict) else None
        if directive is None:
            identify(item)
            additions.append(item)
        elif directive == "replace":
            replaces = True
        elif directive == "delete":
            deleted.add(identify(item))
        else:
            raise StrategicMergeError(f"unknown value {directive!r} of {PATCH} in a list")
    return additions, replaces, deleted


def _merge_items(
    original: list[Any], patch: list[Object], rule: Field | None, identify: _Identify
) -> list[Any]:
    """Objects with an equal merge key become one; new ones come last."""
    merged = list(original)
    places: dict[_Identity, int] = {}
    for place, item in enumerate(merged):
        places.setdefault(identify(item), place)
    for item in patch:
        place = places.setdefault(identify(item), len(merged))
        if place == len(merged):
            merged.append({})
        merged[place] = _merge_map(merged[place], item, rule)
    return merged


def _merge_values(original: list[Any], patch: list[Any]) -> list[Any]:
    """Both lists, each value once."""
    return list({_scalar(value): value for value in [*original, *patch]}.values())


def _arrange(
    items: list[Any], wanted: Sequence[_Identity], original: list[Any], identify: _Identify
) -> list[Any]:
    """Put items into order: those the patch names as it wants them, the others as they were.

    The two sequences are merged: an item the patch does not name comes before the next one it names
    if it did so originally; a named item that is new goes first. So `[c]` on `[a, b, c]` leaves the
    order alone, and `[new]` on `[a, b]` gives `[new, a, b]`.
    """
    rank = {identity: place for place, identity in reversed(list(enumerate(wanted)))}
    before = {identify(item): place for place, item in reversed(list(enumerate(original)))}
    named = [item for item in items if identify(item) in rank]
    named.sort(key=lambda item: rank[identify(item)])
    others = [item for item in items if identify(item) not in rank]
    others.sort(key=lambda item: before.get(identify(item), len(original)))
    result: list[Any] = []
    left = 0
    for item in named:
        place = before.get(identify(item))
        while place is not None and left < len(others):
            if before.get(identify(others[left]), len(original)) >= place:
                break
            result.append(others[left])
            left += 1
        result.append(item)
    return [*result, *others[left:]]


def _check_order(found: Sequence[_Identity], order: Sequence[_Identity]) -> None:
    """The items of a patch must be in its `$setElementOrder`, and in that order."""
    rest = iter(order)
    for identity in found:
        if not any(identity == other for other in rest):
            raise StrategicMergeError(
                f"{identity[1]!r} in the patch is missing from {ORDER_PREFIX}…, "
                "or stands elsewhere in it"
            )


def _identities(order: Any, identify: _Identify) -> list[_Identity]:
    if not isinstance(order, list):
        raise StrategicMergeError(f"{ORDER_PREFIX}… must be a list")
    return [identify(item) for item in order]


def _identifier(rule: Field) -> _Identify:
    """How two items of a list are told to be the same."""
    key = rule.patch_merge_key
    if not key:
        return _scalar

    def by_merge_key(item: Any) -> _Identity:
        if not isinstance(item, dict):
            raise StrategicMergeError(f"a list merged by {key!r} can hold only objects")
        if item.get(key) is None:
            raise StrategicMergeError(f"map does not contain declared merge key: {key}")
        return _scalar(item[key])

    return by_merge_key


def _scalar(value: Any) -> _Identity:
    """Raises StrategicMergeError for an object or a list."""
    if isinstance(value, dict | list):
        raise StrategicMergeError("a list of plain values cannot hold objects or lists")
    return _identity(value)


def _identity(value: Any) -> _Identity:
    """Tells true from 1, as JSON does."""
    hashable: Iterable[type] = (str, int, float, bool, type(None))
    return type(value), value if type(value) in hashable else id(value)
