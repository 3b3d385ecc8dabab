"""Keys that stand although nobody renews them."""

from podling.controlplane.apiserver.server_leases.silence import Silence
from podling.controlplane.apiserver.storage.interface import KeyValue


def key(name: str, revision: int) -> KeyValue:
    return KeyValue(name.encode(), b"", 1, revision, 1, 5)


def test_a_key_that_stands_for_too_long_is_told_at_every_look_from_then_on() -> None:
    silence = Silence(step=10, longest=45)
    told = [silence.look([key("a", 7)], now) for now in (0, 10, 20, 30, 40, 50, 60)]
    assert told == [[], [], [], [], [], [key("a", 7)], [key("a", 7)]]


def test_a_renewal_breaks_the_silence() -> None:
    silence = Silence(step=10, longest=45)
    for now in range(0, 100, 10):
        assert not silence.look([key("a", now)], now)


def test_keys_are_told_apart() -> None:
    silence = Silence(step=10, longest=45)
    for now in range(0, 50, 10):
        silence.look([key("dead", 1), key("alive", now)], now)
    assert silence.look([key("dead", 1), key("alive", 50)], 50) == [key("dead", 1)]


def test_while_the_store_was_away_nobody_was_silent() -> None:
    silence = Silence(step=10, longest=45)
    assert not silence.look([key("a", 7)], 0)
    assert not silence.look([key("a", 7)], 600)


def test_a_key_that_went_and_came_again_begins_anew() -> None:
    silence = Silence(step=10, longest=15)
    silence.look([key("a", 7)], 0)
    silence.look([key("a", 7)], 10)
    silence.look([], 20)
    assert not silence.look([key("a", 7)], 30)
