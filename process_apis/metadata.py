"""The one MetaData all tables of this tier hang on, and two habits of its columns."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives only INTEGER primary keys a growing number of their own.
GROWING = BigInteger().with_variant(Integer(), "sqlite")


def code(name: str, **more: object) -> Column[str]:
    """A text column that is empty rather than NULL."""
    return Column(name, String, nullable=False, server_default="", **more)  # type: ignore[arg-type]
