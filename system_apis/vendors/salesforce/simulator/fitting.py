"""Fits what a write gives into a field: its type, its length, or the vendor's refusal."""

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from system_apis.vendors.salesforce.simulator import numbers
from system_apis.vendors.salesforce.simulator.objects import Field
from system_apis.vendors.salesforce.simulator.refusals import Refused
from system_apis.vendors.salesforce.simulator.values import instant

_TEXT = {"string", "textarea", "picklist", "phone", "url", "email"}


def fitting(field: Field, found: Any) -> Any:
    """The value to keep; None for null and for empty text. What a reference points at is not
    looked at."""
    if found is None or found == "":
        if field.type == "boolean":
            raise _unreadable(field, found)
        return None
    if field.type in _TEXT:
        return _text(field, found)
    if field.type == "boolean" and not isinstance(found, bool):
        raise _unreadable(field, found)
    if field.type in numbers.KINDS:
        return _number(field, found)
    if field.type in ("date", "datetime"):
        return _day_or_instant(field, found)
    return found


def _text(field: Field, found: Any) -> str:
    text = found if isinstance(found, str) else str(found)
    if field.length and len(text) > field.length:
        words = f"{field.name}: data value too large: {text[:80]} (max length={field.length})"
        raise Refused(400, "STRING_TOO_LONG", words, field.name)
    return text


def _number(field: Field, found: Any) -> Any:
    """A number, or text that is one (as in a recording)."""
    try:
        number = Decimal(found) if isinstance(found, str) else found
    except InvalidOperation as error:
        raise _unreadable(field, found) from error
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise _unreadable(field, found)
    if not Decimal(number).is_finite():
        raise _unreadable(field, found)
    return int(number) if field.type == "int" and number == int(number) else number


def _day_or_instant(field: Field, found: Any) -> str:
    try:
        if field.type == "date":
            return date.fromisoformat(found[:10]).isoformat()
        return instant(found)
    except (TypeError, ValueError) as error:
        raise _unreadable(field, found) from error


def _unreadable(field: Field, found: Any) -> Refused:
    words = f"Cannot deserialize instance of {field.type} from value {found!r}"
    return Refused(400, "JSON_PARSER_ERROR", words)
