"""Tables of the read model: the newest facts, the totals made of them, and how far it has read."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

fact = Table(
    "fact",
    metadata,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("state", LargeBinary, nullable=False),  # JSON of Fact.state
)

total = Table(
    "total",
    metadata,
    Column("board", String, primary_key=True),
    Column("a", String, primary_key=True),
    Column("b", String, primary_key=True),
    Column("c", String, primary_key=True),
    Column("currency", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("measure", BigInteger, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Index("ix_total_board", "board"),
)

progress = Table(
    "progress",
    metadata,
    Column("feed", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("as_of", DateTime(timezone=True)),
    Column("events", Integer, nullable=False, server_default="0"),
)
