import pytest

from podling.controlplane.apiserver.tables import ages

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (5 * MINUTE + 3, "5m3s"),
        (10 * MINUTE + 3, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (300 * DAY, "300d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + 100 * DAY, "2y100d"),
        (9 * YEAR + 5 * DAY, "9y"),
    ],
)
def test_the_unit_grows_with_the_age(seconds: float, text: str) -> None:
    assert ages.human_duration(seconds) == text


def test_what_has_no_time_has_no_age() -> None:
    assert ages.since(None, 0.0) == "<unknown>"
    assert ages.age({"metadata": {"creationTimestamp": "1970-01-01T00:01:00Z"}}, 90.0) == "30s"
