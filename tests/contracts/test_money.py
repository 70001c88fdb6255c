"""Money is exact, signs are symmetric, and parts add up."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money, exponent, money, rounded, spread

amounts = st.decimals("-1000000", "1000000", places=6)


@pytest.mark.parametrize(("currency", "digits"), [("GBP", 2), ("JPY", 0), ("KWD", 3), ("XXX", 2)])
def test_exponents(currency: str, digits: int) -> None:
    """ISO 4217, two where it is silent."""
    assert exponent(currency) == digits


@given(amount=amounts, currency=st.sampled_from(["GBP", "JPY", "BHD"]))
def test_rounding_is_half_away_from_zero(amount: Decimal, currency: str) -> None:
    """As fractions say it, and the same on both sides of zero."""
    scaled = abs(Fraction(amount)) * 10 ** exponent(currency)
    expected = int(scaled + Fraction(1, 2)) * (-1 if amount < 0 else 1)
    assert money(amount, currency).minor == expected
    assert rounded(-amount, currency) == -rounded(amount, currency)


def test_arithmetic_keeps_the_currency() -> None:
    """Sums and differences of one currency; never of two."""
    one, two = Money(150, "GBP"), Money(-50, "GBP")
    assert (one + two, one - two, -one) == (
        Money(100, "GBP"),
        Money(200, "GBP"),
        Money(-150, "GBP"),
    )
    assert (str(Money(123456, "GBP")), Money(5, "KWD").amount) == ("1,234.56 GBP", Decimal("0.005"))
    with pytest.raises(ValueError, match="cannot combine"):
        one + Money(1, "EUR")


@given(
    total=st.integers(-(10**9), 10**9),
    weights=st.lists(st.decimals("0.01", "1000", places=4), min_size=1, max_size=40),
)
def test_parts_add_up(total: int, weights: list[Decimal]) -> None:
    """And none is a whole unit away from its share."""
    parts = spread(total, weights)
    assert sum(parts) == total
    whole = sum(map(Fraction, weights))
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * Fraction(weight) / whole) < 1


def test_nothing_cannot_be_split_over_nothing() -> None:
    """Unless it is nothing."""
    assert spread(0, [Decimal(0), Decimal(0)]) == (0, 0)
    with pytest.raises(ValueError, match="over nothing"):
        spread(1, [Decimal(0)])


def test_ties_go_to_the_first() -> None:
    """Equal remainders are settled by order."""
    assert spread(100, [Decimal(1)] * 3) == (34, 33, 33)
    assert spread(-100, [Decimal(1)] * 3) == (-34, -33, -33)
