import pytest

from podling.node.kubelet.containers.expansion import expand

VALUES = {"A": "1", "B": "$(A)", "POD_IP": "127.9.64.2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("--bind=$(POD_IP):80", "--bind=127.9.64.2:80"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(B)", "$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("100%$$", "100%$"),
    ],
)
def test_references_are_replaced_once_and_escapes_kept(text: str, expected: str) -> None:
    assert expand(text, VALUES) == expected
