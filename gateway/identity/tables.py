"""This file exists to describe the tables of people, sessions, clients, tokens and issuers.

Owns   their shape, in the control plane's metadata. Secrets are kept as hashes, private keys
       sealed. Instants are Unix milliseconds (`_ms`), UTC.
Fails  never.
"""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, LargeBinary, String, Table

from gateway.control.tables import metadata

person = Table(
    "person",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("password", String),
    Column("issuer", String),
    Column("subject", String),
    Column("created_ms", BigInteger, nullable=False),
    Column("disabled_ms", BigInteger),
    Column("seen_ms", BigInteger),
)
session = Table(
    "session",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("person", ForeignKey("person.id"), index=True),
    Column("token", ForeignKey("admin_token.id")),
    Column("csrf", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
)
client = Table(
    "oauth_client",
    metadata,
    Column("id", String, primary_key=True),
    Column("consumer", ForeignKey("consumer.name"), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("method", String, nullable=False),
    Column("secret", LargeBinary),
    Column("keys", JSON, nullable=False),
    Column("certificate", String, nullable=False),
    Column("grants", JSON, nullable=False),
    Column("redirect_uris", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("bound", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("plan", String, nullable=False, server_default=""),
)
grant = Table(
    "oauth_grant",
    metadata,
    Column("id", String, primary_key=True),
    Column("client", ForeignKey("oauth_client.id"), nullable=False, index=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)
code = Table(
    "oauth_code",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant", ForeignKey("oauth_grant.id"), nullable=False),
    Column("redirect_uri", String, nullable=False),
    Column("challenge", String, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)
refresh_token = Table(
    "refresh_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("grant", ForeignKey("oauth_grant.id"), nullable=False, index=True),
    Column("bound", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)
revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", String, primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
)
seen_assertion = Table(
    "seen_assertion",
    metadata,
    Column("client", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
)
signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", String, primary_key=True),
    Column("public", JSON, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("pepper", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("retired_ms", BigInteger),
)
issuer = Table(
    "trusted_issuer",
    metadata,
    Column("issuer", String, primary_key=True),
    Column("audience", String, nullable=False),
    Column("jwks_uri", String, nullable=False),
    Column("consumer", ForeignKey("consumer.name"), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("types", JSON, nullable=False),
    Column("keys", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("fetched_ms", BigInteger),
    Column("plan", String, nullable=False, server_default=""),
)
