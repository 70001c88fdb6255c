"""Column types that keep money and time exact on SQLite and PostgreSQL alike.

Source  SQLite has neither DECIMAL nor TIMESTAMP WITH TIME ZONE; domain.md B.1 (scales).
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, String, TypeDecorator
from sqlalchemy.types import TypeEngine


class Exact(TypeDecorator[Decimal]):
    """A decimal with every digit it has: NUMERIC without bounds on PostgreSQL, text on SQLite.

    Amounts stay unrounded until the invoice line; a scale here would round each row before.
    """

    impl = String
    cache_ok = True

    def __repr__(self) -> str:
        return "Exact()"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric())
        return dialect.type_descriptor(String())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: timestamptz on PostgreSQL, sortable text on SQLite."""

    impl = String
    cache_ok = True

    def __repr__(self) -> str:
        return "Instant()"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(String())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value.astimezone(UTC)  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def instant_text(value: datetime) -> str:
    """Fixed width, so that text order is time order. Many rows of a batch share an instant."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
