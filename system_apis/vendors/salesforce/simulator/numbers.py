"""Keeps numbers exact on their way through JSON: amounts are never floats.

Numbers are stored as decimal text (a seeder may give text or JSON numbers) and shown as numbers.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

KINDS = {"int", "double", "currency", "percent"}
"""Types of fields that hold numbers."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_CENT = Decimal("0.01")


def encode(body: Any) -> bytes:
    """JSON with decimals as numbers."""
    return _ENCODER.encode(body)


def decode(body: bytes) -> Any:
    """JSON with fractions as decimals."""
    return _DECODER.decode(body)


def exact(held: Any) -> int | Decimal:
    """A number of a document: int where it is one, else decimal."""
    return held if isinstance(held, int) else Decimal(str(held))


def price(total: Decimal | int, quantity: Decimal | int) -> Decimal:
    """A unit price, to the cent, half away from zero."""
    return (Decimal(total) / quantity).quantize(_CENT, ROUND_HALF_UP)
