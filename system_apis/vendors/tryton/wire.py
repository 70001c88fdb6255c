"""Tryton's own words: its JSON with typed values, and the fields we ask of its models.

A search gives only the fields it is asked for; fields of a related record come under its name and
a dot. Times are UTC without saying so. write_date is empty until a record is first changed.
Source  trytond 8.2 (JSON-RPC), seen on a running server 2026-11.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

T = TypeVar("T", bound="Row")


def dressed(value: Any) -> Any:
    """A value as Tryton's JSON spells it."""
    match value:
        case dict():
            return {key: dressed(inner) for key, inner in value.items()}
        case list() | tuple():
            return [dressed(inner) for inner in value]
        case Decimal():
            return {"__class__": "Decimal", "decimal": str(value)}
        case datetime():
            at = value.astimezone(UTC)
            names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return {"__class__": "datetime"} | {name: getattr(at, name) for name in names}
        case date():
            day = {"year": value.year, "month": value.month, "day": value.day}
            return {"__class__": "date"} | day
        case timedelta():
            return {"__class__": "timedelta", "seconds": value.total_seconds()}
    return value


def undressed(body: bytes) -> Any:
    """An answer with its typed values as Python's. ValueError when it is no JSON."""
    return json.loads(body, object_hook=_plain, parse_float=Decimal)


def _plain(seen: dict[str, Any]) -> Any:
    rest = {key: value for key, value in seen.items() if key != "__class__"}
    match seen.get("__class__"):
        case "Decimal":
            return Decimal(seen["decimal"])
        case "date":
            return date(**rest)
        case "datetime":
            return datetime(**rest, tzinfo=UTC)
        case "time":
            return time(**rest)
        case "timedelta":
            return timedelta(microseconds=int(Decimal(str(seen["seconds"])) * 1_000_000))
        case "bytes":
            return b64decode(seen["base64"])
    return seen


class Named(Struct, frozen=True):
    """What is asked of a related record, of whatever model."""

    id: int = 0
    code: str | None = None
    name: str | None = None
    email: str | None = None
    origin: str | None = None
    progress: Decimal | None = None
    digits: int | None = None


class Row(Struct, frozen=True, kw_only=True):
    """Any record."""

    id: int
    create_date: datetime
    write_date: datetime | None = None

    @property
    def changed(self) -> datetime:
        """When it last changed."""
        return self.write_date or self.create_date


class Company(Row, frozen=True, kw_only=True):
    party: Named = field(default=Named(), name="party.")
    currency: Named = field(default=Named(), name="currency.")
    timezone: str | None = None


class Party(Row, frozen=True, kw_only=True):
    """identifiers, addresses: their ids."""

    name: str | None = None
    code: str | None = None
    email: str | None = None
    active: bool = True
    identifiers: list[int] = []
    addresses: list[int] = []


class Identifier(Row, frozen=True, kw_only=True):
    party: int
    type: str | None = None
    code: str = ""


class Address(Row, frozen=True, kw_only=True):
    party: int
    full_address: str | None = None
    country: Named | None = field(default=None, name="country.")


class Employee(Row, frozen=True, kw_only=True):
    party: Named = field(default=Named(), name="party.")
    start_date: date | None = None
    end_date: date | None = None
    supervisor: int | None = None


class Work(Row, frozen=True, kw_only=True):
    """A project or a task. path: ids from the root to itself, each followed by a slash."""

    name: str
    number: str | None = None
    type: str
    party: int | None = None
    customer: Named | None = field(default=None, name="party.")
    parent: int | None = None
    path: str | None = None
    status: Named | None = field(default=None, name="status.")
    timesheet_start_date: date | None = None
    timesheet_end_date: date | None = None
    list_price: Decimal | None = None
    product: int | None = None


class Line(Row, frozen=True, kw_only=True):
    """A line of a timesheet; work.origin is `project.work,<id>`."""

    employee: int
    date: date
    duration: timedelta
    description: str | None = None
    work: Named = field(default=Named(), name="work.")


class Period(Row, frozen=True, kw_only=True):
    name: str
    start_date: date
    end_date: date
    state: str
    type: str


class Product(Row, frozen=True, kw_only=True):
    code: str | None = None
    default_uom: int = 0
    unit: Named = field(default=Named(), name="default_uom.")
    list_price_used: Decimal | None = None


class Tax(Row, frozen=True, kw_only=True):
    name: str


class Invoice(Row, frozen=True, kw_only=True):
    reference: str | None = None
    number: str | None = None
    state: str = "draft"
    party: int = 0
    currency: Named = field(default=Named(), name="currency.")
    untaxed_amount: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)
    total_amount: Decimal = Decimal(0)
    invoice_date: date | None = None
    comment: str | None = None
    lines: list[int] = []


MODELS: dict[type[Row], str] = {
    Company: "company.company", Party: "party.party", Identifier: "party.identifier",
    Address: "party.address", Employee: "company.employee", Work: "project.work",
    Line: "timesheet.line", Period: "account.period", Product: "product.product",
    Tax: "account.tax", Invoice: "account.invoice",
}  # fmt: skip
_OF_RELATED: dict[str, tuple[str, ...]] = {
    "party.": ("code", "name", "email"), "currency.": ("code",), "country.": ("code",),
    "status.": ("progress",), "work.": ("origin",), "default_uom.": ("digits",),
}  # fmt: skip


def fields_of(shape: type[Row]) -> list[str]:
    """What to ask for so that an answer fills this shape."""
    found: list[str] = []
    for each in msgspec.structs.fields(shape):
        name = each.encode_name
        found += [name + of for of in _OF_RELATED[name]] if name.endswith(".") else [name]
    return found


def shaped(rows: list[Mapping[str, Any]], shape: type[T]) -> list[T]:
    """Records as structs. msgspec.ValidationError when one does not fit."""
    return [msgspec.convert(row, shape, strict=False) for row in rows]
