"""The pipeline of writes, asked through the REST function on an in-memory store."""

import orjson
import pytest

from podling.controlplane.apiserver.storage import interface as storage
from tests.controlplane.apiserver.api import CONFIG_MAPS, PODS, Api, config_map, pod


async def test_a_created_object_has_what_the_server_owns(api: Api) -> None:
    created = await api.create(CONFIG_MAPS, config_map("a", {"k": "v"}))
    metadata = created["metadata"]
    assert metadata["uid"].startswith("uid-")
    assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert metadata["namespace"] == "default"
    read = (await api.get(f"{CONFIG_MAPS}/a")).json
    assert read == created
    assert int(metadata["resourceVersion"]) == api.storage.revision


async def test_what_a_creator_says_of_the_servers_fields_is_ignored(api: Api) -> None:
    body = config_map("a", uid="mine", deletionTimestamp="2020-01-01T00:00:00Z", generation=7)
    created = await api.create(CONFIG_MAPS, body)
    assert created["metadata"]["uid"] != "mine"
    assert not created["metadata"].keys() & {"deletionTimestamp", "generation"}


async def test_creating_twice_is_already_exists(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    reply = await api.post(CONFIG_MAPS, config_map("a"))
    assert (reply.status, reply.json["reason"]) == (409, "AlreadyExists")
    assert reply.json["message"] == 'configmaps "a" already exists'


async def test_a_name_is_generated(api: Api) -> None:
    body = {"metadata": {"generateName": "web-"}, "data": {}}
    first = await api.create(CONFIG_MAPS, body)
    second = await api.create(CONFIG_MAPS, body)
    names = {first["metadata"]["name"], second["metadata"]["name"]}
    assert len(names) == 2
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


@pytest.mark.parametrize(
    ("url", "body", "status", "words"),
    [
        (CONFIG_MAPS, {"metadata": {}}, 422, "name or generateName is required"),
        (CONFIG_MAPS, config_map("a", resourceVersion="5"), 400, "resourceVersion should not be"),
        (CONFIG_MAPS, config_map("a", namespace="other"), 400, "does not match the namespace"),
        (CONFIG_MAPS, {"kind": "Pod", "apiVersion": "v1"}, 400, "do not match the expected"),
        (CONFIG_MAPS, {"metadata": "x"}, 400, "metadata"),
        (CONFIG_MAPS, {"metadata": {"name": 5}}, 400, "metadata.name"),
        (CONFIG_MAPS, config_map("Not A Name"), 422, "RFC 1123"),
        (CONFIG_MAPS, b"{", 400, "cannot be read"),
        (CONFIG_MAPS, b"[]", 400, "must be an object"),
        (CONFIG_MAPS, b'"x"', 400, "must be an object"),
        (CONFIG_MAPS, b"\xff\xfe", 400, "cannot be read"),
        (CONFIG_MAPS, b"", 400, "is empty"),
        (CONFIG_MAPS, b"[" * 100_000, 400, "cannot be read"),
        (CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k": 2**70}}, 400, ""),
        ("/api/v1/namespaces/nowhere/pods", pod("a"), 404, 'namespaces "nowhere" not found'),
        (PODS, {"metadata": {"name": "a"}, "spec": {}}, 422, "spec.containers"),
        ("/api/v1/pods", pod("a"), 405, ""),
        ("/api/v1/nonsense", {}, 404, "could not find the requested resource"),
    ],
)  # fmt: skip
async def test_a_bad_creation_is_a_status(
    api: Api, url: str, body: object, status: int, words: str
) -> None:
    encoded = body if isinstance(body, bytes) else orjson_or_json(body)
    before = api.storage.revision
    reply = await api.post(url, encoded)
    assert reply.json["kind"] == "Status"
    assert reply.status == reply.json["code"] == status, reply.json["message"]
    assert words in reply.json["message"]
    assert api.storage.revision == before


def orjson_or_json(body: object) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        return b'{"metadata":{"name":"a"},"data":{"k":1180591620717411303424}}'


async def test_a_body_may_be_yaml(api: Api) -> None:
    text = b"metadata:\n  name: a\ndata:\n  when: 2020-01-01\n"
    reply = await api.post(CONFIG_MAPS, text, content_type="application/yaml")
    assert reply.status == 201
    assert reply.json["data"] == {"when": "2020-01-01"}


async def test_yaml_that_repeats_itself_is_refused(api: Api) -> None:
    text = b"metadata: &m\n  name: a\nother: *m\n"
    reply = await api.post(CONFIG_MAPS, text, content_type="application/yaml")
    assert reply.status == 400
    assert "aliases" in reply.json["message"]


async def test_a_body_of_another_type_is_refused(api: Api) -> None:
    reply = await api.post(CONFIG_MAPS, b"x", content_type="text/plain")
    assert (reply.status, reply.json["reason"]) == (415, "UnsupportedMediaType")


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    reply = await api.post(CONFIG_MAPS, b" " * ((3 << 20) + 1))
    assert (reply.status, reply.json["reason"]) == (413, "RequestEntityTooLarge")


async def test_unknown_fields_are_an_error_a_warning_or_nothing(api: Api) -> None:
    body = {**config_map("a"), "spec": {"x": 1}}
    strict = await api.post(f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert strict.json["message"] == 'strict decoding error: unknown field "spec"'
    warned = await api.post(f"{CONFIG_MAPS}?dryRun=All", body)
    assert warned.headers["Warning"] == '299 - "unknown field \\"spec\\""'
    assert "spec" not in warned.json
    ignored = await api.post(f"{CONFIG_MAPS}?fieldValidation=Ignore", body)
    assert ignored.status == 201
    assert "Warning" not in ignored.headers


async def test_duplicate_fields_are_found(api: Api) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
    reply = await api.post(f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert reply.status == 400
    assert 'duplicate field "data.k"' in reply.json["message"]


@pytest.mark.parametrize(
    "query", ["fieldValidation=Maybe", "dryRun=Some", "fieldManager=" + "x" * 200]
)
async def test_bad_options_are_invalid(api: Api, query: str) -> None:
    reply = await api.post(f"{CONFIG_MAPS}?{query}", config_map("a"))
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    before = api.storage.revision
    reply = await api.post(f"{CONFIG_MAPS}?dryRun=All", config_map("a"))
    assert reply.status == 201
    assert reply.json["metadata"]["uid"]
    assert api.storage.revision == before
    await api.create(CONFIG_MAPS, config_map("a"))
    again = await api.post(f"{CONFIG_MAPS}?dryRun=All", config_map("a"))
    assert again.json["reason"] == "AlreadyExists"


async def test_a_put_replaces(api: Api) -> None:
    created = await api.create(CONFIG_MAPS, config_map("a", {"k": "1"}))
    reply = await api.put(f"{CONFIG_MAPS}/a", {**created, "data": {"k": "2"}})
    assert reply.status == 200
    assert reply.json["data"] == {"k": "2"}
    assert reply.json["metadata"]["uid"] == created["metadata"]["uid"]
    assert reply.json["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]


async def test_a_put_with_an_old_resource_version_is_a_conflict(api: Api) -> None:
    created = await api.create(CONFIG_MAPS, config_map("a", {"k": "1"}))
    await api.put(f"{CONFIG_MAPS}/a", {**created, "data": {"k": "2"}})
    stale = await api.put(f"{CONFIG_MAPS}/a", {**created, "data": {"k": "3"}})
    assert (stale.status, stale.json["reason"]) == (409, "Conflict")
    assert "the object has been modified" in stale.json["message"]


async def test_a_put_without_resource_version_replaces_whatever_is_there(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", {"k": "1"}))
    reply = await api.put(f"{CONFIG_MAPS}/a", config_map("a", {"k": "2"}))
    assert reply.status == 200


async def test_a_put_for_another_uid_is_a_conflict(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    reply = await api.put(f"{CONFIG_MAPS}/a", config_map("a", uid="another"))
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")


async def test_a_put_of_what_does_not_exist_is_not_found(api: Api) -> None:
    reply = await api.put(f"{CONFIG_MAPS}/a", config_map("a"))
    assert reply.status == 404


async def test_a_put_under_another_name_is_refused(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a"))
    reply = await api.put(f"{CONFIG_MAPS}/a", config_map("b"))
    assert reply.status == 400
    assert "does not match the name on the URL" in reply.json["message"]


async def test_a_write_without_difference_changes_nothing(api: Api) -> None:
    created = await api.create(CONFIG_MAPS, config_map("a", {"k": "1"}))
    before = api.storage.revision
    same = await api.put(f"{CONFIG_MAPS}/a", config_map("a", {"k": "1"}))
    patched = await api.patch(f"{CONFIG_MAPS}/a", {"data": {"k": "1"}})
    assert same.json == patched.json == created
    assert api.storage.revision == before


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge-patch", {"data": {"b": "2"}}),
        ("strategic-merge-patch", {"data": {"b": "2"}}),
        ("json-patch", [{"op": "add", "path": "/data/b", "value": "2"}]),
    ],
)
async def test_an_object_is_patched(api: Api, kind: str, patch: object) -> None:
    await api.create(CONFIG_MAPS, config_map("a", {"a": "1"}))
    reply = await api.patch(f"{CONFIG_MAPS}/a", patch, kind)
    assert reply.status == 200, reply.body
    assert reply.json["data"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("kind", "patch", "status"),
    [
        ("merge-patch", b"{", 400),
        ("merge-patch", b"[]", 400),
        ("json-patch", b"{}", 400),
        ("json-patch", b'[{"op":"remove","path":"/nothing"}]', 422),
        ("json-patch", b'[{"op":"test","path":"/data/a","value":"2"}]', 422),
        ("merge-patch", b'{"data":{"a":7}}', 400),
        ("merge-patch", b'{"metadata":{"name":"b"}}', 400),
        ("merge-patch", b'{"kind":"Pod"}', 400),
        ("merge-patch", b'{"metadata":{"labels":{"a":"not valid!"}}}', 422),
        ("nonsense", b"{}", 415),
    ],
)
async def test_a_bad_patch_is_a_status(api: Api, kind: str, patch: bytes, status: int) -> None:
    await api.create(CONFIG_MAPS, config_map("a", {"a": "1"}))
    before = api.storage.revision
    reply = await api.patch(f"{CONFIG_MAPS}/a", patch, kind)
    assert reply.json["kind"] == "Status"
    assert reply.status == status, reply.json["message"]
    assert api.storage.revision == before


async def test_server_side_apply_is_refused_cleanly(api: Api) -> None:
    reply = await api.ask(
        "PATCH", f"{CONFIG_MAPS}/a", config_map("a"), content_type="application/apply-patch+yaml"
    )
    assert (reply.status, reply.json["reason"]) == (415, "UnsupportedMediaType")
    assert "application/merge-patch+json" in reply.json["message"]


async def test_a_patch_with_an_old_resource_version_is_a_conflict(api: Api) -> None:
    created = await api.create(CONFIG_MAPS, config_map("a"))
    await api.patch(f"{CONFIG_MAPS}/a", {"data": {"k": "1"}})
    version = created["metadata"]["resourceVersion"]
    stale = {"metadata": {"resourceVersion": version}, "data": {"k": "2"}}
    reply = await api.patch(f"{CONFIG_MAPS}/a", stale)
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")


async def test_status_is_not_written_through_the_object(api: Api) -> None:
    created = await api.create(PODS, pod("a"))
    assert created["status"]["phase"] == "Pending"
    patched = await api.patch(f"{PODS}/a", {"status": {"phase": "Running"}})
    assert patched.json["status"]["phase"] == "Pending"


async def test_a_write_to_status_changes_nothing_else(api: Api) -> None:
    created = await api.create(PODS, pod("a"))
    patch = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"nodeName": "x"},
        "status": {"phase": "Running"},
    }
    reply = await api.patch(f"{PODS}/a/status", patch)
    assert reply.status == 200, reply.body
    assert reply.json["status"]["phase"] == "Running"
    assert reply.json["spec"] == created["spec"]
    assert "labels" not in reply.json["metadata"]
    assert reply.json["metadata"].get("generation") == created["metadata"].get("generation")


async def test_pods_get_a_service_account_and_tolerations(api: Api) -> None:
    created = await api.create(PODS, pod("a"))
    assert created["spec"]["serviceAccountName"] == "default"
    tolerations = {t["key"]: t["tolerationSeconds"] for t in created["spec"]["tolerations"]}
    assert tolerations == {
        "node.kubernetes.io/not-ready": 5,
        "node.kubernetes.io/unreachable": 5,
    }


async def test_a_store_without_quorum_is_no_reason_for_clients_to_repeat(api: Api) -> None:
    api.storage.fail_next(storage.Unavailable("no leader"))
    reply = await api.get(f"{CONFIG_MAPS}/a")
    assert (reply.status, reply.json["reason"]) == (503, "ServiceUnavailable")
    assert "Retry-After" not in reply.headers


async def test_a_write_of_unknown_outcome_is_a_timeout_that_is_not_repeated(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("warm-up"))
    api.storage.fail_next(storage.OutcomeUnknown("timed out"), applied=True)
    reply = await api.post(CONFIG_MAPS, config_map("a"))
    assert (reply.status, reply.json["reason"]) == (504, "Timeout")
    assert "outcome of this write is unknown" in reply.json["message"]
    assert "Retry-After" not in reply.headers
    assert (await api.get(f"{CONFIG_MAPS}/a")).status == 200


async def test_too_many_proposals_are_asked_to_come_again(api: Api) -> None:
    api.storage.fail_next(storage.TooManyRequests("full"))
    reply = await api.get(f"{CONFIG_MAPS}/a")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "1")


async def test_a_plain_patch_survives_others_who_are_quicker(api: Api) -> None:
    await api.create(CONFIG_MAPS, config_map("a", {"n": "0"}))
    url = f"{CONFIG_MAPS}/a"
    # Each attempt finds the object changed by somebody else, until the third.
    real, left = api.storage.put, [2]

    async def put(key: bytes, value: bytes, *, expected_revision: int, lease: int = 0) -> object:
        if left[0] and key.endswith(b"/a"):
            left[0] -= 1
            current = (await api.storage.get(key)).kv
            assert current is not None
            changed = current.value.replace(
                b'"n":"%d"' % (1 - left[0]), b'"n":"%d"' % (2 - left[0])
            )
            await real(key, changed, expected_revision=current.mod_revision)
        return await real(key, value, expected_revision=expected_revision, lease=lease)

    api.storage.put = put  # type: ignore[method-assign, assignment]
    reply = await api.patch(url, {"data": {"mine": "yes"}})
    assert reply.status == 200, reply.body
    assert reply.json["data"] == {"n": "2", "mine": "yes"}
