"""Image names and the commands that they stand for."""

import pytest

from podling.node.runtime.cri import images
from podling.node.runtime.cri.images import ImageTable, NoCommand

TABLE = ImageTable({"example.com/shop": ["shop", "--serve"], "example.com/shop:2": ["shop2"]})


@pytest.mark.parametrize(
    ("image", "command", "args", "argv"),
    [
        ("example.com/shop:1", [], [], ("shop", "--serve")),
        ("example.com/shop:2", [], [], ("shop2",)),
        ("example.com/shop@sha256:" + "0" * 64, [], [], ("shop", "--serve")),
        ("registry.k8s.io/pause:3.10", [], [], ("sleep", "infinity")),
        ("docker.io/library/busybox", [], [], ("sh",)),
        ("busybox:1.36", [], ["echo", "hi"], ("echo", "hi")),
        ("python:3.12-slim", [], ["app.py"], ("app.py",)),
        ("example.com/shop:1", [], ["-v"], ("shop", "--serve", "-v")),
        ("example.com/shop:1", ["sh"], [], ("sh",)),
        ("unknown", ["sh", "-c"], ["exit"], ("sh", "-c", "exit")),
    ],
)
def test_a_name_stands_for_a_command(
    image: str, command: list[str], args: list[str], argv: tuple[str, ...]
) -> None:
    assert TABLE.argv(image, command, args) == argv


@pytest.mark.parametrize(
    ("word", "filled"),
    [
        ("--bind=$(POD_IP)", "--bind=127.9.64.2"),
        ("$$(POD_IP)", "$(POD_IP)"),
        ("$(NOBODY) $POD_IP $", "$(NOBODY) $POD_IP $"),
    ],
)
def test_an_image_may_refer_to_the_containers_variables(word: str, filled: str) -> None:
    table = ImageTable({"web": ["serve", word]})
    # What the container says itself has been filled before; it must not be filled twice.
    assert table.argv("web:1", [], ["$(POD_IP)"], {"POD_IP": "127.9.64.2"}) == (
        "serve",
        filled,
        "$(POD_IP)",
    )
    assert table.argv("web:1", [word], [], {"POD_IP": "127.9.64.2"}) == (word,)


@pytest.mark.parametrize("image", ["unknown:1", "example.com/python/unknown", "example.com/python"])
def test_a_name_that_stands_for_nothing_says_what_to_do(image: str) -> None:
    with pytest.raises(NoCommand, match=f'image "{image}" .* give the container a "command"'):
        TABLE.argv(image, [], ["--flag"])


@pytest.mark.parametrize(
    ("image", "valid"),
    [
        ("busybox", True),
        ("localhost:5000/a/b_c:V1.2", True),
        ("Example.com/a", True),
        ("a@sha256:" + "0" * 64, True),
        ("", False),
        ("UPPER", False),
        ("a b", False),
        ("a:", False),
        ("a//b", False),
    ],
)
def test_names_have_a_grammar(image: str, valid: bool) -> None:
    assert images.is_valid(image) is valid


def test_latest_is_implied() -> None:
    assert images.image_id("busybox") == images.image_id("busybox:latest")
    assert images.image_id("busybox:1") != images.image_id("busybox")
    assert images.image_id("localhost:5000/a") == images.image_id("localhost:5000/a:latest")
