"""Addresses to listen on."""

import errno
import socket

import pytest

from podling.aiokit import addresses


def test_an_address_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(OSError, match="in use") as raised:
            addresses.check_free(address)
        assert raised.value.errno == errno.EADDRINUSE
    addresses.check_free(address)


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(OSError, match="assign") as raised:
        addresses.check_free("192.0.2.1:0")
    assert raised.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "[::]:0", ":0"])
def test_any_port_is_free(address: str) -> None:
    addresses.check_free(address)
