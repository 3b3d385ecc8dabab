import base64
import os
from pathlib import Path
from typing import Any

import pytest

from podling.kube.meta import Object
from podling.node.kubelet.containers.downward import PodFacts
from podling.node.kubelet.containers.references import MissingReferenceError, Sources
from podling.node.kubelet.volumes import volumes
from podling.node.kubelet.volumes.volume_files import VolumeFile
from podling.node.kubelet.volumes.volumes import Volumes
from tests.node.kubelet.builders import UID, container_spec, pod

FACTS = PodFacts((), ("127.9.64.1",), {})
SOURCES = Sources(
    {
        ("ConfigMap", "settings"): {"data": {"a": "1", "b": "2"}},
        ("Secret", "login"): {"data": {"password": base64.b64encode(b"hunter2").decode()}},
    }
)


def with_volume(mount: Object | None = None, **volume: Any) -> Object:
    spec = container_spec(volumeMounts=[{"name": "v", "mountPath": "/v", **(mount or {})}])
    return pod(spec, volumes=[{"name": "v", **volume}])


def set_up(root: Path, of: Object, sources: Sources = SOURCES) -> Path:
    """Returns the host path of the pod's one mount."""
    made = Volumes(root)
    made.set_up(of, sources, FACTS)
    mounts = made.mounts(of, of["spec"]["containers"][0], {"NAME": "expanded"})
    assert [mount.container_path for mount in mounts] == ["/v"]
    return Path(mounts[0].host_path)


def test_an_empty_directory_is_kept_and_removed_with_the_pod(tmp_path: Path) -> None:
    path = set_up(tmp_path, with_volume(emptyDir={}))
    (path / "data").write_text("kept")
    assert (set_up(tmp_path, with_volume(emptyDir={})) / "data").read_text() == "kept"
    assert Volumes(tmp_path).uids() == [UID]
    Volumes(tmp_path).tear_down(UID)
    assert not path.exists()


def test_a_config_map_becomes_files(tmp_path: Path) -> None:
    path = set_up(tmp_path, with_volume(configMap={"name": "settings"}))
    assert (path / "a").read_text() == "1"
    assert (path / "b").read_text() == "2"


def test_chosen_keys_get_their_own_paths_and_modes(tmp_path: Path) -> None:
    items = [{"key": "a", "path": "conf/x", "mode": 0o400}]
    path = set_up(tmp_path, with_volume(configMap={"name": "settings", "items": items}))
    assert (path / "conf/x").read_text() == "1"
    assert (path / "conf/x").stat().st_mode & 0o777 == 0o400
    assert not (path / "b").exists()


def test_a_secret_gets_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    path = set_up(tmp_path, with_volume(secret={"secretName": "login", "defaultMode": 0o600}))
    assert (path / "password").read_bytes() == b"hunter2"
    assert (path / "password").stat().st_mode & 0o777 == 0o600


def test_projected_sources_share_a_directory(tmp_path: Path) -> None:
    sources = [
        {"configMap": {"name": "settings"}},
        {"secret": {"name": "login"}},
        {"downwardAPI": {"items": [{"path": "me", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"configMap": {"name": "none", "optional": True}},
    ]
    path = set_up(tmp_path, with_volume(projected={"sources": sources}))
    assert (path / "me").read_text() == "web"
    assert (path / "password").read_bytes() == b"hunter2"
    assert (path / "a").read_text() == "1"


def test_a_changed_object_changes_all_files_in_one_step(tmp_path: Path) -> None:
    of = with_volume(configMap={"name": "settings"})
    path = set_up(tmp_path, of)
    before = os.readlink(path / "..data")
    changed = Sources({("ConfigMap", "settings"): {"data": {"a": "9", "c": "3"}}})
    set_up(tmp_path, of, changed)
    assert os.readlink(path / "..data") != before
    assert (path / "a").read_text() == "9"
    assert (path / "c").read_text() == "3"
    assert not (path / "b").is_symlink()
    assert not (path / before).exists()


def test_unchanged_content_is_not_written_again(tmp_path: Path) -> None:
    files = [VolumeFile("a", b"1", 0o644)]
    assert volumes.write_files(tmp_path, files)
    assert not volumes.write_files(tmp_path, files)
    assert volumes.write_files(tmp_path, [VolumeFile("a", b"1", 0o600)])


def test_host_paths_are_checked(tmp_path: Path) -> None:
    there = str(tmp_path / "there")
    (tmp_path / "there").mkdir()
    assert set_up(tmp_path, with_volume(hostPath={"path": there})) == Path(there)
    made = str(tmp_path / "made")
    set_up(tmp_path, with_volume(hostPath={"path": made, "type": "DirectoryOrCreate"}))
    assert Path(made).is_dir()
    with pytest.raises(MissingReferenceError, match="not a File"):
        set_up(tmp_path, with_volume(hostPath={"path": there, "type": "File"}))


def test_a_sub_path_is_made_and_may_not_leave_the_volume(tmp_path: Path) -> None:
    path = set_up(tmp_path, with_volume({"subPath": "deep/er"}, emptyDir={}))
    assert path.is_dir()
    assert path.parts[-2:] == ("deep", "er")
    expanded = set_up(tmp_path, with_volume({"subPathExpr": "$(NAME)"}, emptyDir={}))
    assert expanded.name == "expanded"
    (path.parent.parent / "out").symlink_to("/")
    with pytest.raises(MissingReferenceError, match="leads out"):
        set_up(tmp_path, with_volume({"subPath": "out/tmp"}, emptyDir={}))


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        (
            {"configMap": {"name": "settings", "items": [{"key": "z", "path": "z"}]}},
            "ConfigMap default/settings has no key z",
        ),
        (
            {"configMap": {"name": "settings", "items": [{"key": "a", "path": "../x"}]}},
            "would leave the volume",
        ),
        ({"nfs": {"server": "x"}}, "volumes of type nfs are not supported"),
        ({"projected": {"sources": [{"serviceAccountToken": {}}]}}, "not supported"),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path: Path, volume: Object, text: str) -> None:
    with pytest.raises(MissingReferenceError, match=text):
        set_up(tmp_path, with_volume(**volume))


def test_files_from_objects_are_mounted_read_only(tmp_path: Path) -> None:
    of = with_volume(configMap={"name": "settings"})
    made = Volumes(tmp_path)
    made.set_up(of, SOURCES, FACTS)
    assert made.mounts(of, of["spec"]["containers"][0], {})[0].readonly
