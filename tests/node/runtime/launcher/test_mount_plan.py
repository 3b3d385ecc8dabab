"""Where mounts stand: on what exists, in a layer over it, in a new root, or inside each other."""

import posixpath

import pytest

from podling.node.runtime.launcher import mount_plan
from podling.node.runtime.launcher.mount_plan import (
    Kind,
    MountError,
    MountPlan,
    Node,
    Overlay,
    Step,
)
from podling.node.runtime.launcher.protocol import Bind

FOLDERS = {"/", "/etc", "/etc/ssl", "/run", "/srv", "/srv/a", "/srv/b", "/var"}
FILES = {"/etc/hosts", "/srv/file"}


def kind_of(path: str) -> Kind:
    if path in FILES:
        return "file"
    return "folder" if path in FOLDERS else "missing"


def resolve(path: str) -> str:
    """As if /var/run were a link to /run."""
    path = posixpath.normpath(path)
    return path.replace("/var/run", "/run", 1) if path.startswith("/var/run") else path


def plan(*binds: Bind) -> MountPlan:
    return mount_plan.plan(binds, kind_of, resolve)


def test_an_existing_target_is_covered() -> None:
    assert plan(Bind("/srv/file", "/etc/hosts"), Bind("/srv/a", "/etc/ssl", True)) == MountPlan(
        (),
        (),
        (
            Step(Bind("/srv/file", "/etc/hosts"), is_file=True),
            Step(Bind("/srv/a", "/etc/ssl", True), is_file=False),
        ),
    )


def test_missing_targets_get_one_layer_over_the_highest_folder() -> None:
    found = plan(
        Bind("/srv/a", "/etc/ssl/x/y"), Bind("/srv/b", "/etc/app"), Bind("/srv/file", "/run/f")
    )
    assert found.top == ()
    assert {overlay.path: set(overlay.nodes) for overlay in found.overlays} == {
        "/etc": {Node("/etc/app"), Node("/etc/ssl/x/y")},
        "/run": {Node("/run/f", is_file=True)},
    }


def test_a_missing_folder_of_the_root_asks_for_a_new_root() -> None:
    found = plan(Bind("/srv/a", "/etc/app"), Bind("/srv/b", "/data"), Bind("/srv/a", "/data/logs"))
    assert found == MountPlan(
        (Node("/data"),),
        (Overlay("/etc", (Node("/etc/app"),)),),
        (
            Step(Bind("/srv/b", "/data"), is_file=False),
            Step(Bind("/srv/a", "/etc/app"), is_file=False),
            Step(Bind("/srv/a", "/data/logs"), is_file=False, make=True),
        ),
    )


def test_links_in_targets_are_followed() -> None:
    found = plan(Bind("/srv/a", "/var/run/secrets"))
    assert found.overlays == (Overlay("/run", (Node("/run/secrets"),)),)
    assert found.steps[0].bind.target == "/run/secrets"


@pytest.mark.parametrize(
    ("bind", "text"),
    [
        (Bind("/none", "/data"), "cannot mount /none at /data: it does not exist"),
        (Bind("/srv/a", "/etc/hosts"), "one is a file and the other a folder"),
        (Bind("/srv/file", "/etc/ssl"), "one is a file and the other a folder"),
        (Bind("/srv/a", "data"), "must be absolute"),
        (Bind("/srv/a", "/"), "not the root"),
        (Bind("/srv/a", "/etc/hosts/x"), "/etc/hosts is a file"),
    ],
)
def test_what_cannot_be_mounted_is_refused(bind: Bind, text: str) -> None:
    with pytest.raises(MountError, match=text):
        plan(bind)
