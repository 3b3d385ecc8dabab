from collections.abc import Callable

import pytest

from podling.kube import names

Rule = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns_label_errors, ["a", "a-1", "1a", "a" * 63], ["", "A", "-a", "a-", "a.b", "a\n"]),
        (names.dns_subdomain_errors, ["a.b-c.1", "a" * 253], ["", ".a", "a..b", "a_b", "a" * 254]),
        (names.rfc1035_label_errors, ["a1"], ["1a", "a.b", "a" * 64]),
        (names.label_value_errors, ["", "A_b.c-1", "a" * 63], ["-a", "a b", "ä", "a" * 64]),
        (
            names.qualified_name_errors,
            ["a", "A.b_c", "example.com/a", "a" * 63],
            ["", "/a", "a/", "a/b/c", "Ex.com/a", "a" * 64, "a b"],
        ),
        (names.config_key_errors, ["a.b_C-1", ".hidden"], ["", ".", "..", "..a", "a/b"]),
        (names.environment_name_errors, ["A", "a.b-c", "my var"], ["", "a=b", "ä", "a\tb"]),
        (names.port_name_errors, ["http", "h2c-1"], ["", "80", "a--b", "-a", "A", "a" * 16]),
        (names.path_segment_errors, ["system:node", "a b"], [".", "..", "a/b", "a%b"]),
    ],
)
def test_rules_take_and_refuse(rule: Rule, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert rule(value) == [], value
    for value in bad:
        assert rule(value), value


def test_texts_are_upstreams() -> None:
    assert names.dns_subdomain_errors("A") == [
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
        "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
        "regex used for validation is "
        r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    ]
    assert names.label_value_errors("-")[0].startswith(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
        "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
        "'my_value',  or '12345', regex used for validation is "
    )
    assert names.dns_label_errors("a" * 64) == ["must be no more than 63 bytes"]
    assert names.qualified_name_errors("x/")[0] == "name part must be non-empty"


def test_lengths_are_counted_in_bytes() -> None:
    assert "must be no more than 63 bytes" in names.label_value_errors("ä" * 32)


def test_a_lone_surrogate_is_refused_like_any_other_sign() -> None:
    assert names.dns_label_errors("\ud800")


def test_ports_are_sixteen_bit_numbers_but_not_zero() -> None:
    assert [names.port_number_errors(port) != [] for port in (0, 1, 65535, 65536)] == [
        True, False, False, True,
    ]  # fmt: skip
