import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podling.kube import quantity
from podling.kube.quantity import NANO, Quantity, QuantityError

LIMIT = (2**63 - 1) * NANO
QUANTITIES = st.builds(
    Quantity,
    st.integers(-LIMIT, LIMIT),
    st.sampled_from([quantity.BINARY, quantity.DECIMAL, quantity.EXPONENT]),
)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("0", "0"),
        ("-0", "0"),
        ("0Gi", "0"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("100000k", "100M"),
        ("+2", "2"),
        ("1Gi", "1Gi"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "102400u"),
        ("1e3", "1e3"),
        ("12E2", "1200"),
        ("1E", "1E"),
        ("1e-3", "1e-3"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1e999999999", "9223372036854775807"),
        ("1e-999999999", "1e-9"),
        ("9999999999999E", "9223372036854775807"),
        (" 1 ", "1"),
        (1, "1"),
        (0.25, "250m"),
        (1e-7, "100e-9"),
    ],
)
def test_the_canonical_form(written: str | float, stored: str) -> None:
    assert quantity.canonical(written) == stored


@pytest.mark.parametrize(
    "text",
    ["", " ", "one", "1 Gi", "1ki", "1Kib", "1e", "1e1.5", "1.2.3", "--1", "0x1", "1e3m", "٣",
     "1\n2", "9" * 300, None, True, [], float("inf"), float("nan")],
)  # fmt: skip
def test_what_is_not_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        quantity.parse(text)


def test_amounts_are_compared_not_texts() -> None:
    assert quantity.parse("1") == quantity.parse("1000m") == quantity.parse("1e0")
    assert hash(quantity.parse("1")) == hash(quantity.parse("1000m"))
    assert quantity.parse("1Gi") > quantity.parse("1G")


def test_sums_keep_the_first_ones_way_of_writing() -> None:
    assert str(quantity.parse("1.5Gi") + quantity.parse("512Mi")) == "2Gi"
    assert str(quantity.ZERO + quantity.parse("512Mi")) == "512Mi"
    assert str(quantity.parse("1") - quantity.parse("250m")) == "750m"
    assert str(quantity.parse("250m") * 3) == "750m"
    assert str(-quantity.parse("1k")) == "-1k"


def test_whole_numbers_are_rounded_up() -> None:
    assert quantity.parse("1.1").value() == 2
    assert quantity.parse("-1.1").value() == -1
    assert quantity.parse("0.1m").milli_value() == 1
    assert quantity.parse("128Mi").value() == 134217728
    assert float(quantity.parse("1500m")) == 1.5
    assert not quantity.parse("0Ki")


@given(QUANTITIES)
def test_a_printed_quantity_is_the_same_amount(amount: Quantity) -> None:
    assert quantity.parse(str(amount)) == amount
    # A binary amount that no suffix divides is printed as digits, which read back as decimal.
    canonical = quantity.canonical(str(amount))
    assert quantity.canonical(canonical) == canonical


@given(QUANTITIES, QUANTITIES)
def test_addition_is_exact(left: Quantity, right: Quantity) -> None:
    assert (left + right) - right == left
    assert left + right == right + left


@given(
    st.decimals(places=4, min_value=-(10**9), max_value=10**9),
    st.sampled_from(["", "m", "k", "Mi", "G", "e-2"]),
)  # fmt: skip
def test_reading_agrees_with_exact_arithmetic(number: object, suffix: str) -> None:
    scale = {"": Fraction(1), "m": Fraction(1, 1000), "k": Fraction(1000), "Mi": Fraction(2**20),
             "G": Fraction(10**9), "e-2": Fraction(1, 100)}[suffix]  # fmt: skip
    exact = Fraction(str(number)) * scale
    assert Fraction(quantity.parse(f"{number}{suffix}").nanos, NANO) == exact


@given(st.text(alphabet="0123456789.+-eEinumkKMGTP ", max_size=20) | st.text())
def test_any_text_is_a_quantity_or_a_quantity_error(text: str) -> None:
    with contextlib.suppress(QuantityError):
        assert quantity.canonical(quantity.canonical(text)) == quantity.canonical(text)
