"""Reads the part of SOQL a connector needs: one object, plain fields, conditions, order, limits.

Not there: relationships, sub-queries, GROUP BY, functions, date literals such as TODAY, scopes.
Fails: Refused with MALFORMED_QUERY.
"""

import re
from typing import Any

from msgspec import Struct

from system_apis.vendors.salesforce.simulator import numbers
from system_apis.vendors.salesforce.simulator.refusals import Refused
from system_apis.vendors.salesforce.simulator.values import instant

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:\\.|[^'\\])*')
  | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
  | (?P<date>\d{4}-\d\d-\d\d)
  | (?P<number>[+-]?\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z_][\w.]*)
  | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class Literal(Struct, frozen=True):
    """kind: text, datetime, date, number, boolean or null."""

    kind: str
    value: Any


class Comparison(Struct, frozen=True):
    """operator: = != < <= > >= like in, not in. at: where the field stands in the query."""

    field: str
    operator: str
    literals: tuple[Literal, ...]
    at: int


class Both(Struct, frozen=True):
    """`AND` (every) or `OR` (any)."""

    every: bool
    parts: tuple[Any, ...]


class Not(Struct, frozen=True):
    """`NOT`."""

    part: Any


class Order(Struct, frozen=True):
    """One term of ORDER BY."""

    field: str
    descending: bool
    nulls_last: bool
    at: int


class Query(Struct, frozen=True):
    """fields empty: COUNT()."""

    text: str
    fields: tuple[tuple[str, int], ...]
    object: str
    object_at: int
    where: Any
    order: tuple[Order, ...]
    limit: int | None
    offset: int


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if not match or match.lastgroup is None:
                raise self.bad(f"unexpected token: '{text[at : at + 1]}'")
            word = match[match.lastgroup]
            self.tokens.append((match.lastgroup, word, match.end() - len(word)))
            at = match.end()
        self.tokens.append(("end", "<EOF>", end))
        self.next = 0

    def bad(self, words: str) -> Refused:
        return Refused(400, "MALFORMED_QUERY", words)

    def peek(self, *words: str) -> bool:
        """The next tokens are these words."""
        ahead = self.tokens[self.next : self.next + len(words)]
        return [token[1].lower() for token in ahead] == list(words)

    def skip(self, *words: str) -> bool:
        if not self.peek(*words):
            return False
        self.next += len(words)
        return True

    def take(self, *kinds: str) -> tuple[str, str, int]:
        token = self.tokens[self.next]
        if token[0] not in kinds:
            raise self.bad(f"unexpected token: '{token[1]}'")
        self.next += 1
        return token

    def need(self, word: str) -> None:
        if not self.skip(word):
            raise self.bad(f"expecting '{word}', found '{self.tokens[self.next][1]}'")


def parse(text: str) -> Query:
    """A query, or MALFORMED_QUERY."""
    reader = _Reader(text)
    reader.need("select")
    fields: list[tuple[str, int]] = []
    if not reader.skip("count", "(", ")"):
        while not fields or reader.skip(","):
            _, name, at = reader.take("name")
            fields.append((name, at))
    reader.need("from")
    _, name, at = reader.take("name")
    where = _any(reader) if reader.skip("where") else None
    order = _order(reader) if reader.skip("order", "by") else ()
    limit = int(reader.take("number")[1]) if reader.skip("limit") else None
    offset = int(reader.take("number")[1]) if reader.skip("offset") else 0
    reader.take("end")
    if offset > 2000:
        words = "Maximum SOQL offset allowed is 2000"
        raise Refused(400, "NUMBER_OUTSIDE_VALID_RANGE", words)
    return Query(text, tuple(fields), name, at, where, order, limit, offset)


def _any(reader: _Reader) -> Any:
    """AND and OR may not be mixed without parentheses."""
    first = _one(reader)
    for word in ("and", "or"):
        if reader.peek(word):
            parts = [first]
            while reader.skip(word):
                parts.append(_one(reader))
            if reader.peek("and") or reader.peek("or"):
                raise reader.bad(f"unexpected token: '{reader.tokens[reader.next][1]}'")
            return Both(word == "and", tuple(parts))
    return first


def _one(reader: _Reader) -> Any:
    if reader.skip("not"):
        return Not(_one(reader))
    if reader.skip("("):
        inside = _any(reader)
        reader.need(")")
        return inside
    _, name, at = reader.take("name")
    if reader.skip("not", "in"):
        return Comparison(name, "not in", _list(reader), at)
    if reader.skip("in"):
        return Comparison(name, "in", _list(reader), at)
    if reader.skip("like"):
        return Comparison(name, "like", (_literal(reader),), at)
    _, sign, _ = reader.take("sign")
    if sign in "(),":
        raise reader.bad(f"unexpected token: '{sign}'")
    return Comparison(name, "!=" if sign == "<>" else sign, (_literal(reader),), at)


def _list(reader: _Reader) -> tuple[Literal, ...]:
    reader.need("(")
    found = [_literal(reader)]
    while reader.skip(","):
        found.append(_literal(reader))
    reader.need(")")
    return tuple(found)


def _literal(reader: _Reader) -> Literal:
    kind, word, _ = reader.take("text", "datetime", "date", "number", "name")
    match kind:
        case "text":
            return Literal(kind, re.sub(r"\\(.)", _unescaped, word[1:-1], flags=re.DOTALL))
        case "datetime":
            return Literal(kind, _moment(reader, word))
        case "number":
            return Literal(kind, numbers.exact(word) if "." in word else int(word))
        case "name":
            if word.lower() == "null":
                return Literal("null", None)
            if word.lower() not in ("true", "false"):
                raise reader.bad(f"unexpected token: '{word}'")
            return Literal("boolean", word.lower() == "true")
    return Literal(kind, word)


def _moment(reader: _Reader, word: str) -> str:
    try:
        return instant(word)
    except ValueError as error:
        raise reader.bad(f"invalid dateTime: {word}") from error


def _unescaped(match: re.Match[str]) -> str:
    """\\% and \\_ stay for LIKE."""
    letter = match[1]
    return match[0] if letter in "%_" else _ESCAPES.get(letter, letter)


def _order(reader: _Reader) -> tuple[Order, ...]:
    terms: list[Order] = []
    while not terms or reader.skip(","):
        _, name, at = reader.take("name")
        descending = reader.skip("desc")
        if not descending:
            reader.skip("asc")
        last = reader.skip("nulls", "last")
        if not last:
            reader.skip("nulls", "first")
        terms.append(Order(name, descending, last, at))
    return tuple(terms)
