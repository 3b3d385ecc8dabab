import pickle

import pytest

from podling.kube import errors, kinds
from podling.kube.errors import ApiError, FieldError
from podling.kube.meta import Object

EVERY_KIND_OF_ERROR: list[ApiError] = [
    errors.BadRequest("bad"),
    errors.Unauthorized(),
    errors.Forbidden(kind=kinds.POD, name="a", message="no"),
    errors.NotFound(kind=kinds.POD, name="a"),
    errors.MethodNotAllowed(verb="patch", kind=kinds.EVENT),
    errors.NotAcceptable(accepted=["application/json"]),
    errors.AlreadyExists(kind=kinds.POD, name="a"),
    errors.Conflict(kind=kinds.POD, name="a"),
    errors.Gone("gone"),
    errors.Expired(),
    errors.RequestEntityTooLarge(limit=3),
    errors.UnsupportedMediaType(accepted=["application/json"]),
    errors.Invalid(kind=kinds.POD, name="a", errors=[FieldError.required("spec")]),
    errors.TooManyRequests(),
    errors.InternalError("disk"),
    errors.ServerTimeout(kind=kinds.POD, verb="list", retry_after=2),
    errors.ServiceUnavailable("no leader"),
    errors.Timeout("slow"),
]


@pytest.mark.parametrize("error", EVERY_KIND_OF_ERROR, ids=lambda error: type(error).__name__)
def test_a_status_becomes_the_error_it_was_made_from(error: ApiError) -> None:
    for again in (ApiError.from_status(error.to_status()), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert again.to_status() == error.to_status()
        assert str(again) == error.message


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.NotFound(kind=kinds.POD, name="x"), 404, 'pods "x" not found'),
        (errors.NotFound(kind=kinds.DEPLOYMENT, name="x"), 404, 'deployments.apps "x" not found'),
        (errors.NotFound(), 404, "the server could not find the requested resource"),
        (errors.AlreadyExists(kind=kinds.POD, name="x"), 409, 'pods "x" already exists'),
        (
            errors.Conflict(kind=kinds.POD, name="x"),
            409,
            'Operation cannot be fulfilled on pods "x": the object has been modified; please '
            "apply your changes to the latest version and try again",
        ),
        (
            errors.Forbidden(kind=kinds.POD, message='User "u" cannot list resource "pods"'),
            403,
            'pods is forbidden: User "u" cannot list resource "pods"',
        ),
        (
            errors.Forbidden(kind=kinds.POD, name="x", message="quota"),
            403,
            'pods "x" is forbidden: quota',
        ),
        (
            errors.MethodNotAllowed(verb="patch", kind=kinds.EVENT),
            405,
            'patch is not supported on resources of kind "events"',
        ),
        (
            errors.ServerTimeout(kind=kinds.POD, verb="list"),
            500,
            "The list operation against pods could not be completed at this time, "
            "please try again.",
        ),
        (
            errors.too_large_resource_version(9, 5),
            504,
            "Timeout: Too large resource version: 9, current: 5",
        ),
    ],
)
def test_texts_are_upstreams(error: ApiError, code: int, message: str) -> None:
    assert (error.code, error.message) == (code, message)


def test_an_invalid_object_has_a_cause_for_each_field() -> None:
    error = errors.Invalid(
        kind=kinds.DEPLOYMENT,
        name="web",
        errors=[
            FieldError.required("spec.selector"),
            FieldError.invalid("spec.replicas", -1, "must be greater than or equal to 0"),
        ],
    )
    assert error.message == (
        'Deployment.apps "web" is invalid: [spec.selector: Required value, '
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0]"
    )
    assert error.to_status()["details"] == {
        "name": "web",
        "group": "apps",
        "kind": "Deployment",
        "causes": [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"},
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: -1: must be greater than or equal to 0",
                "field": "spec.replicas",
            },
        ],
    }


def test_one_field_error_stands_without_brackets() -> None:
    error = errors.Invalid(kind=kinds.POD, name="a", errors=[FieldError.required("spec", "why")])
    assert error.message == 'Pod "a" is invalid: spec: Required value: why'


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FieldError.invalid("f", 'a"b', "no"), 'f: Invalid value: "a\\"b": no'),
        (FieldError.invalid("f", {"a": [1]}), 'f: Invalid value: {"a":[1]}'),
        (
            FieldError.not_supported("f", "x", ["A", "B"]),
            'f: Unsupported value: "x": supported values: "A", "B"',
        ),
        (FieldError.duplicate("f", "x"), 'f: Duplicate value: "x"'),
        (FieldError.not_found("f", "x"), 'f: Not found: "x"'),
        (FieldError.forbidden("f", "no"), "f: Forbidden: no"),
        (FieldError.too_long("f", 63), "f: Too long: may not be more than 63 bytes"),
        (FieldError.too_many("f", 3, 2), "f: Too many: 3: must have at most 2 items"),
    ],
)
def test_field_errors_are_worded_as_upstream_does(error: FieldError, text: str) -> None:
    assert str(error) == text


def test_without_a_reason_the_code_decides() -> None:
    assert type(ApiError.from_status({"code": 404})) is errors.NotFound
    assert type(ApiError.from_status({"code": 409})) is errors.Conflict
    assert type(ApiError.from_status({"code": 410})) is errors.Expired
    assert ApiError.from_status({"code": 409}).message == "the server answered with status 409"


def test_an_unknown_reason_is_kept() -> None:
    error = ApiError.from_status({"code": 418, "reason": "Teapot", "message": "short and stout"})
    assert (type(error), error.code, error.reason) == (ApiError, 418, "Teapot")


def test_a_damaged_status_is_still_an_error() -> None:
    damaged: list[Object] = [{}, {"code": "x", "details": [], "reason": None}, {"message": None}]
    for status in damaged:
        assert ApiError.from_status(status).code == 500


def test_retry_after_comes_from_the_details() -> None:
    assert errors.TooManyRequests(retry_after=5).retry_after == 5
    assert errors.BadRequest("x").retry_after == 0
    assert errors.AlreadyExists(kind=kinds.POD, name="a-x1", generated=True).retry_after == 1
