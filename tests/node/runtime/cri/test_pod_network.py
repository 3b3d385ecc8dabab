"""Addresses of the loopback network: in turn, never twice, and given back."""

import pytest

from podling.node.runtime.cri.pod_network import LoopbackNetwork, NetworkError


async def test_addresses_come_in_turn_and_rest_before_they_come_again() -> None:
    network = LoopbackNetwork(["127.9.65.0/29"])
    given = [(await network.attach(f"s{number}"))[0] for number in range(5)]
    assert given == [f"127.9.65.{number}" for number in (2, 3, 4, 5, 6)]
    with pytest.raises(NetworkError, match=r"all 5 pod addresses of 127\.9\.65\.0/29 are in use"):
        await network.attach("s5")
    await network.detach("s1")
    await network.detach("unknown")
    assert await network.attach("s6") == ("127.9.65.3",)
    assert await network.attach("s6") == ("127.9.65.3",)
    await network.detach("s0")
    await network.detach("s6")
    assert await network.attach("s7") == ("127.9.65.2",)


async def test_what_was_held_before_is_not_given_again() -> None:
    network = LoopbackNetwork(["127.9.65.0/24"])
    network.restore({"old": ("127.9.65.9",), "none": ()})
    assert await network.attach("new") == ("127.9.65.10",)
    assert await network.attach("old") == ("127.9.65.9",)


async def test_without_a_range_it_says_so() -> None:
    network = LoopbackNetwork()
    assert "podCIDR" in network.trouble
    with pytest.raises(NetworkError, match="podCIDR"):
        await network.attach("s")
    network.configure(["127.9.65.0/24"])
    assert network.trouble == ""
    assert await network.attach("s") == ("127.9.65.2",)


@pytest.mark.parametrize(
    ("cidr", "text"),
    [
        ("10.0.0.0/24", "loopback"),
        ("127.0.0.0/30", "too small"),
        ("nonsense", "not an IPv4 range"),
        ("127.0.0.1/24", "not an IPv4 range"),
    ],
)
def test_a_range_that_cannot_serve_is_refused(cidr: str, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        LoopbackNetwork([cidr])
