"""The folder of a cluster: any that can be written, however long its path."""

import socket
import stat
from pathlib import Path

import pytest

from podling.launcher.layout import DirectoryError, Layout


def test_folders_are_their_owners_alone(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    layout.create()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (layout.root, layout.pki)} == {0o700}


@pytest.mark.parametrize("folder", ["c", "/".join(["x" * 100] * 5)])
def test_sockets_are_reached_below_paths_of_any_length(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout.at(tmp_path / folder)
    layout.create()
    monkeypatch.chdir(layout.root)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(layout.socket("server")))
        server.listen()
        monkeypatch.chdir(tmp_path)
        with layout.reach("server") as path:
            client.connect(path)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(DirectoryError, match=f"{file} is a file"):
        Layout.at(file).create()
    with pytest.raises(DirectoryError, match=r"cannot make .*Not a directory"):
        Layout.at(file / "below").create()
