"""Parses the SuiteQL that integrations write: one SELECT over one table.

    SELECT col | TO_CHAR(col, 'fmt') | BUILTIN.DF(col) | COUNT(*) [AS name], ... FROM table [alias]
    [WHERE col op literal | col IN (..) | col [NOT] LIKE '..' | col IS [NOT] NULL
           | col BETWEEN a AND b | (...) [AND | OR ...]] [ORDER BY col [DESC], ...]

Literals: 'text', numbers, TO_DATE('..','fmt'), TO_TIMESTAMP('..','fmt'). Nothing reaches an SQL
engine: the tree is walked in Python. Fails: Refused, INVALID_PARAMETER.
"""

import re
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from system_apis.vendors.netsuite.simulator.refusals import Refused

Literal = str | Decimal | datetime | None
_TOKEN = re.compile(
    r"\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|([A-Za-z_][\w.]*)|(<=|>=|<>|!=|[=<>(),*-]))", re.ASCII
)
_FORMATS = {
    "YYYY": "%Y",
    "HH24": "%H",
    "MM": "%m",
    "DD": "%d",
    "MI": "%M",
    "SS": "%S",
    "FF3": "%f",
    "FF": "%f",
}


class Column(Struct, frozen=True):
    """shape: empty, `DF` (display value) or a strftime format. name: what it is called outside."""

    field: str
    name: str
    shape: str = ""


class Test(Struct, frozen=True):
    """One comparison. operator: = != < <= > >= in like; `not` turns it around."""

    field: str
    operator: str
    wanted: tuple[Literal, ...]
    negated: bool = False


class Either(Struct, frozen=True):
    """Any of several conjunctions."""

    ways: tuple[tuple["Test | Either", ...], ...]


class Select(Struct, frozen=True):
    """columns: empty is `*`. order: field and whether downwards."""

    columns: tuple[Column, ...]
    table: str
    where: tuple[Test | Either, ...]
    order: tuple[tuple[str, bool], ...]
    counts: bool = False


def parse(text: str) -> Select:
    """The tree of a query."""
    return _Parser(_tokens(text)).select()


def date_format(text: str) -> str:
    """`YYYY-MM-DD HH24:MI:SS` -> `%Y-%m-%d %H:%M:%S`."""
    return re.sub("|".join(_FORMATS), lambda found: _FORMATS[found[0]], text.upper())


def wrong(why: str) -> Refused:
    """The refusal of a query."""
    words = f"Invalid search query. Detailed unprocessed description follows. {why}"
    return Refused(400, "INVALID_PARAMETER", words)


def _tokens(text: str) -> list[str]:
    found, position, text = [], 0, text.strip().rstrip(";")
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise wrong(f"Unexpected character at {position}.")
        found.append(match[0].strip())
        position = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def select(self) -> Select:
        self._take("SELECT")
        columns, counts = self._columns()
        self._take("FROM")
        table = self._next().lower()
        if self._peek() not in ("", "WHERE", "ORDER", "FETCH"):
            self._skip("AS")
            self._next()
        where: tuple[Test | Either, ...] = ()
        if self._skip("WHERE"):
            where = self._any()
        order = self._order()
        if self._peek():
            raise wrong(f"Unexpected: {self._peek()}.")
        return Select(columns, table, where, order, counts)

    def _columns(self) -> tuple[tuple[Column, ...], bool]:
        if self._skip("*"):
            return (), False
        if self._peek() == "COUNT":
            for _ in range(4):
                self._next()
            name = self._next().lower() if self._skip("AS") else "expr1"
            return (Column("", name),), True
        columns = [self._column()]
        while self._skip(","):
            columns.append(self._column())
        return tuple(columns), False

    def _column(self) -> Column:
        word, shape = self._next(), ""
        if self._skip("("):
            function, field = word.upper(), self._field()
            if function == "TO_CHAR":
                self._take(",")
                shape = date_format(self._string())
            elif function == "BUILTIN.DF":
                shape = "DF"
            else:
                raise wrong(f"Unknown function: {word}.")
            self._take(")")
        else:
            field = _bare(word)
        name = field
        if self._skip("AS") or self._peek() not in ("", ",", "FROM"):
            name = self._next().lower()
        return Column(field, name, shape)

    def _any(self) -> tuple[Test | Either, ...]:
        ways = [self._all()]
        while self._skip("OR"):
            ways.append(self._all())
        return ways[0] if len(ways) == 1 else (Either(tuple(ways)),)

    def _all(self) -> tuple[Test | Either, ...]:
        tests = [*self._test()]
        while self._skip("AND"):
            tests += self._test()
        return tuple(tests)

    def _test(self) -> tuple[Test | Either, ...]:
        if self._skip("("):
            inside = self._any()
            self._take(")")
            return inside
        field, turned = self._field(), self._skip("NOT")
        operator = self._next().upper()
        if operator == "IS":
            turned = self._skip("NOT")
            self._take("NULL")
            return (Test(field, "=", (None,), turned),)
        if operator == "IN":
            return (Test(field, "in", self._list(), turned),)
        if operator == "BETWEEN":
            low = self._literal()
            self._take("AND")
            high = self._literal()
            return Test(field, ">=", (low,)), Test(field, "<=", (high,))
        if operator not in ("=", "!=", "<>", "<", "<=", ">", ">=", "LIKE"):
            raise wrong(f"Unknown operator: {operator}.")
        operator = {"<>": "!=", "LIKE": "like"}.get(operator, operator)
        return (Test(field, operator, (self._literal(),), turned),)

    def _list(self) -> tuple[Literal, ...]:
        self._take("(")
        values = [self._literal()]
        while self._skip(","):
            values.append(self._literal())
        self._take(")")
        return tuple(values)

    def _literal(self) -> Literal:
        token = self._next()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token == "-":
            return -Decimal(self._next())
        if token[0].isdigit():
            return Decimal(token)
        if token.upper() in ("TO_DATE", "TO_TIMESTAMP"):
            self._take("(")
            text = self._string()
            self._take(",")
            shape = self._string()
            self._take(")")
            try:
                return datetime.strptime(text, date_format(shape))  # noqa: DTZ007 - the account's zone
            except ValueError as error:
                raise wrong(f"Invalid date {text!r} for {shape!r}.") from error
        raise wrong(f"A literal is expected, not {token}.")

    def _order(self) -> tuple[tuple[str, bool], ...]:
        if not self._skip("ORDER"):
            return ()
        self._take("BY")
        order = [self._direction()]
        while self._skip(","):
            order.append(self._direction())
        return tuple(order)

    def _direction(self) -> tuple[str, bool]:
        field = self._field()
        return field, self._skip("DESC") or (self._skip("ASC") and False)

    def _field(self) -> str:
        word = self._next()
        if not re.fullmatch(r"[A-Za-z_][\w.]*", word):
            raise wrong(f"A field is expected, not {word}.")
        return _bare(word)

    def _string(self) -> str:
        token = self._next()
        if not token.startswith("'"):
            raise wrong(f"Text is expected, not {token}.")
        return token[1:-1]

    def _peek(self) -> str:
        return self._tokens[self._at].upper() if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise wrong("Unexpected end.")
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, word: str) -> bool:
        met = self._peek() == word
        self._at += met
        return met

    def _take(self, word: str) -> None:
        if not self._skip(word):
            raise wrong(f"{word} is expected, not {self._peek() or 'the end'}.")


def _bare(word: str) -> str:
    """`t.TranId` -> `tranid`."""
    return word.rpartition(".")[2].lower()
