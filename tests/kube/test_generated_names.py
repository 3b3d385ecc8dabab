import random

import pytest

from podling.kube import generated_names, names


@pytest.mark.parametrize("base", ["web-", "a" * 80, ""])
def test_a_generated_name_is_a_dns_label_that_begins_with_its_base(base: str) -> None:
    name = generated_names.generate(base, random.Random(1))
    assert names.dns_label_errors(name) == []
    assert name[:-5] == base[:58]


def test_names_of_the_same_base_differ() -> None:
    dice = random.Random(1)
    assert len({generated_names.generate("web-", dice) for _ in range(100)}) == 100


def test_a_number_is_spelled_in_letters_of_the_alphabet() -> None:
    assert generated_names.spelled(9012) == "mbcd"
