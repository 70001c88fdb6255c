"""Exact money: integer minor units in one currency, decimals in between, never a float.

Source  ISO 4217 (exponents); domain.md B.1 (rounding half away from zero, largest remainder).
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from msgspec import Struct

EXPONENTS: dict[str, int] = {
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip


def exponent(currency: str) -> int:
    """Digits after the decimal point of a currency: 2 unless ISO 4217 says otherwise."""
    return EXPONENTS.get(currency, 2)


def quantum(currency: str) -> Decimal:
    """The smallest amount of a currency, e.g. Decimal('0.01')."""
    return Decimal(1).scaleb(-exponent(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Half away from zero to the currency's exponent, so rounded(-x) == -rounded(x)."""
    return amount.quantize(quantum(currency), ROUND_HALF_UP)


class Money(Struct, frozen=True, order=True):
    """minor: whole minor units (cents, yen), signed. currency: ISO 4217 code."""

    minor: int
    currency: str

    @property
    def amount(self) -> Decimal:
        """The amount in major units, exact."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot combine {self.currency} with {other.currency}")


def money(amount: Decimal, currency: str) -> Money:
    """Round an exact amount of major units to money."""
    return Money(int(rounded(amount, currency).scaleb(exponent(currency))), currency)


def spread(total_minor: int, weights: Sequence[Decimal]) -> tuple[int, ...]:
    """Split minor units by weight so that the parts add up: largest remainder, ties to the first.

    weights: same sign throughout, not all zero unless total_minor is 0. Order is kept.
    """
    whole = sum(weights, Decimal(0))
    if not whole:
        if total_minor:
            raise ValueError("cannot spread an amount over nothing")
        return tuple(0 for _ in weights)
    sign = -1 if total_minor < 0 else 1
    exact = [abs(total_minor) * weight / whole for weight in weights]
    floors = [int(part) for part in exact]
    left = abs(total_minor) - sum(floors)
    by_remainder = sorted(range(len(exact)), key=lambda i: (floors[i] - exact[i], i))
    for i in by_remainder[:left]:
        floors[i] += 1
    return tuple(sign * part for part in floors)
