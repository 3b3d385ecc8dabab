import pytest

from podling.kube import field_paths
from podling.kube.field_paths import FieldPathError

POD = {
    "metadata": {
        "name": "a",
        "labels": {"app": "web", "a": 'q"'},
        "annotations": {"x/y['z']": "1"},
    },
    "spec": {"hostNetwork": True, "containers": []},
    "status": {"podIP": "127.1.65.2"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "a"),
        ("metadata.namespace", ""),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['x/y['z']']", "1"),
        ("metadata.labels", 'a="q\\""\napp="web"'),
        ("status.podIP", "127.1.65.2"),
        ("status.hostIP", ""),
        ("spec.hostNetwork", "true"),
    ],
)
def test_a_path_leads_to_a_text(path: str, value: str) -> None:
    assert field_paths.value(POD, path) == value


@pytest.mark.parametrize(
    "path", ["metadata", "spec.containers", "metadata.name['x']", "metadata.name.x"]
)
def test_a_path_must_lead_to_a_plain_value(path: str) -> None:
    with pytest.raises(FieldPathError):
        field_paths.value(POD, path)


def test_what_is_not_there_yet_is_empty() -> None:
    assert field_paths.value({"metadata": {}}, "status.podIP") == ""
    assert field_paths.value({"metadata": {}}, "metadata.labels['a']") == ""
