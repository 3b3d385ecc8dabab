"""The commands on a member's files, as a user types them."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podling.cli.main import main
from tests.controlplane.store.offline.directories import machine, put, written


def podling(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["store", *map(str, arguments)])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return written(tmp_path / "m1")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    store = machine()
    store.apply(1, 1, put(b"key"))
    data = b"".join(store.snapshot())
    path = tmp_path / "saved.db"
    path.write_bytes(data + hashlib.sha256(data).digest())
    return path


def test_inspect_tells_what_is_there(directory: Path) -> None:
    done = podling("inspect", directory, "--entries", "8:")

    assert done.exit_code == 0
    assert "member a of cluster c1" in done.output
    assert "put key-8 (100 bytes)" in done.output
    assert "put key-7" not in done.output
    assert done.output.endswith("problems: none\n")


@pytest.mark.parametrize(
    ("wanted", "indexes"), [("3", [3]), ("2:3", [2, 3]), (":1", [1]), ("8:", [8, 9]), ("50:60", [])]
)
def test_inspect_lists_the_entries_that_are_wanted(
    directory: Path, wanted: str, indexes: list[int]
) -> None:
    found = json.loads(podling("inspect", directory, "--entries", wanted, "-o", "json").stdout)

    assert [entry["index"] for entry in found["entries"]] == indexes


def test_inspect_ends_with_an_error_if_no_member_would_start(directory: Path) -> None:
    (directory / "member.json").unlink()
    done = podling("inspect", directory)

    assert done.exit_code == 1
    assert "and no member would start" in done.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["inspect", "nowhere"], "is not the data directory of a member"),
        (["inspect", ".", "--entries", "a:b"], "must be an index, or two as in 100:200"),
        (["recover"], "name one data directory"),
        (["recover", "nowhere"], "is not the data directory of a member"),
        (["snapshot", "status", "nowhere"], "does not exist"),
        (["snapshot", "save", "f", "--endpoints", "a:1,b:1"], "to one selected node, not multiple"),
        (["snapshot", "save", "f", "--user", "root:"], "did not give its state"),
    ],
)
def test_bad_input_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "save" in arguments:
        arguments = [*arguments, "--command-timeout", "0.2"]
        if "--endpoints" not in arguments:
            arguments += ["--endpoints", "127.0.0.1:1"]
    done = podling(*arguments)

    assert done.exit_code in (1, 2)
    assert text in done.output
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_status_has_etcds_forms(saved: Path) -> None:
    size = saved.stat().st_size
    checksum = hashlib.sha256(saved.read_bytes()[:-32]).digest()[:4]
    number = int.from_bytes(checksum, "big")

    assert podling("snapshot", "status", saved).output == f"{number:x}, 2, 1, {size} B\n"
    table = podling("snapshot", "status", saved, "-w", "table").output.splitlines()
    assert [cell.strip() for cell in table[1].strip("|").split("|")] == [
        "HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE",
    ]  # fmt: skip
    assert len({len(line) for line in table}) == 1
    assert json.loads(podling("snapshot", "status", saved, "-w", "json").output) == {
        "hash": number,
        "revision": 2,
        "totalKey": 1,
        "totalSize": size,
    }


def test_restore_makes_a_directory_once(saved: Path, tmp_path: Path) -> None:
    arguments = ("snapshot", "restore", saved, "--name", "m1", "--data-dir", tmp_path / "new")
    cluster = ("--initial-cluster", "m1=http://localhost:2380,m2=http://localhost:2381")
    done = podling(*arguments, *cluster)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "revision 2, 1 keys" in done.output
    assert "whole: revision 2, 1 key" in podling("inspect", tmp_path / "new").output

    again = podling(*arguments, *cluster)
    assert again.exit_code == 1
    assert "is not empty; name one that does not exist" in again.output


def test_restore_names_the_flag_that_is_wrong(saved: Path) -> None:
    done = podling("snapshot", "restore", saved, "--initial-cluster", "m1=localhost:2380")

    assert done.exit_code == 1
    assert "--initial-cluster: 'localhost:2380'" in done.output


def test_recover_tells_first_and_does_then(directory: Path) -> None:
    told = podling("recover", directory)
    assert told.exit_code == 1
    assert "members then:  voters a (m1, http://127.0.0.1:2390)\n" in told.output
    assert "1 of them are not known to be committed" in told.output
    assert "nothing was changed" in told.output

    done = podling("recover", "--data-dir", directory, "--force-new-cluster")
    assert done.exit_code == 0
    assert "done: start the member" in done.output

    again = podling("recover", directory)
    assert again.exit_code == 0
    assert "alone already: nothing to do" in again.output
    assert "voters a (m1, http://127.0.0.1:2390) (entry 10)" in podling("inspect", directory).output
