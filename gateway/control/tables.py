"""This file exists to describe the control plane's tables; migrations make them.

Owns   the metadata. Instants are Unix milliseconds (`_ms`), UTC, the same on every database.
Fails  never.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

plan = Table(
    "plan",
    metadata,
    Column("name", String, primary_key=True),
    Column("scopes", JSON, nullable=False),
    Column("limits", JSON, nullable=False, server_default="[]"),
    Column("version_default", String, nullable=False, server_default=""),
    Column("origins", JSON, nullable=False, server_default="[]"),
    Column("routes", JSON, nullable=False, server_default="[]"),
)
consumer = Table(
    "consumer",
    metadata,
    Column("name", String, primary_key=True),
    Column("plan", ForeignKey("plan.name"), nullable=False),
    Column("owner", String, nullable=False, server_default=""),
    Column("contact", String, nullable=False, server_default=""),
    Column("tenant", String, nullable=False, server_default=""),
)
subscription = Table(
    "subscription",
    metadata,
    Column("consumer", ForeignKey("consumer.name"), primary_key=True),
    Column("plan", ForeignKey("plan.name"), primary_key=True),
    Column("position", Integer, nullable=False),
)
api_key = Table(
    "api_key",
    metadata,
    Column("id", String, primary_key=True),
    Column("consumer", ForeignKey("consumer.name"), nullable=False, index=True),
    Column("display", String, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("pepper", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("networks", JSON, nullable=False),
    Column("label", String, nullable=False, server_default=""),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("replaces", String),
    Column("last_used_ms", BigInteger),
    Column("version_pin", String, nullable=False, server_default=""),
    Column("plan", String, nullable=False, server_default=""),
)
version_life = Table(
    "version_life",
    metadata,
    Column("version", String, primary_key=True),
    Column("deprecated_ms", BigInteger),
    Column("sunset_ms", BigInteger),
    Column("link", String, nullable=False, server_default=""),
    Column("brownouts", JSON, nullable=False),
)
usage_hour = Table(
    "usage_hour",
    metadata,
    Column("hour_s", BigInteger, primary_key=True),
    Column("consumer", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("route", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("plan", String, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("throttled", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
)
usage_batch = Table(
    "usage_batch",
    metadata,
    Column("worker", String, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)
admin_token = Table(
    "admin_token",
    metadata,
    Column("id", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("role", String, nullable=False, server_default="admin"),
    Column("name", String, nullable=False, server_default=""),
    Column("expires_ms", BigInteger),
)
audit_entry = Table(
    "audit_entry",
    metadata,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    Column("previous_hash", String, nullable=False, unique=True),
    Column("hash", String, nullable=False),
    sqlite_autoincrement=True,
)
adjusted = Table(
    "adjusted",
    metadata,
    Column("consumer", ForeignKey("consumer.name"), primary_key=True),
    Column("plan", String, primary_key=True),
    Column("limit_name", String, primary_key=True),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("amount", BigInteger, nullable=False, server_default="0"),
    Column("until_s", BigInteger, nullable=False, server_default="0"),
    Column("reset_s", BigInteger, nullable=False, server_default="0"),
    Column("forgiven", BigInteger, nullable=False, server_default="0"),
)
applied = Table(
    "applied",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("definition", JSON, nullable=False),
)
published = Table(
    "published",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("configuration", String, nullable=False),
)
