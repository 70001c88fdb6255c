"""This file exists to read the cursor of a vendor's list that is walked by a number.

Fails  INVALID for what is none of ours.
"""

from contracts.problem import Fault, FieldError, Problem

_DIGITS_MAX = 18
"""Vendors count in 64 bits."""


def place(cursor: str | None) -> int:
    """Where to go on, 0 for the beginning."""
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _DIGITS_MAX):
        error = FieldError("?cursor", "is unknown", "Use next_cursor as it was given.")
        raise Problem(Fault.INVALID, "The cursor is not one of ours.", errors=(error,))
    return int(cursor)
