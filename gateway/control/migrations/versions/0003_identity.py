"""People, sessions, clients, grants, tokens, signing keys, trusted issuers; roles of tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    "trusted_issuer", "signing_key", "seen_assertion", "revoked_token", "refresh_token",
    "oauth_code", "oauth_grant", "oauth_client", "session", "person",
)  # fmt: skip


def upgrade() -> None:
    _people()
    _clients()
    _tokens()
    _keys()


def _people() -> None:
    with op.batch_alter_table("admin_token") as admin_token:
        admin_token.add_column(text("role", server_default="admin"))
        admin_token.add_column(text("name", server_default=""))
        admin_token.add_column(instant("expires_ms", nullable=True))
    op.create_table(
        "person",
        text("id", primary_key=True),
        text("name", unique=True),
        text("role"),
        text("password", nullable=True),
        text("issuer", nullable=True),
        text("subject", nullable=True),
        instant("created_ms"),
        instant("disabled_ms", nullable=True),
        instant("seen_ms", nullable=True),
    )
    op.create_index("ix_person_subject", "person", ["issuer", "subject"], unique=True)
    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("person", sa.String(), sa.ForeignKey("person.id"), index=True),
        sa.Column("token", sa.String(), sa.ForeignKey("admin_token.id")),
        text("csrf"),
        instant("created_ms"),
        instant("seen_ms"),
        instant("expires_ms"),
        instant("ended_ms", nullable=True),
    )


def _clients() -> None:
    op.create_table(
        "oauth_client",
        text("id", primary_key=True),
        sa.Column("consumer", sa.String(), sa.ForeignKey("consumer.name"), nullable=False,
                  index=True),
        text("name"),
        text("method"),
        sa.Column("secret", sa.LargeBinary()),
        sa.Column("keys", sa.JSON(), nullable=False),
        text("certificate"),
        sa.Column("grants", sa.JSON(), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        text("bound"),
        instant("created_ms"),
        instant("revoked_ms", nullable=True),
    )  # fmt: skip
    op.create_table(
        "oauth_grant",
        text("id", primary_key=True),
        sa.Column("client", sa.String(), sa.ForeignKey("oauth_client.id"), nullable=False,
                  index=True),
        sa.Column("person", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        instant("created_ms"),
        instant("expires_ms"),
        instant("revoked_ms", nullable=True),
    )  # fmt: skip


def _tokens() -> None:
    op.create_table(
        "oauth_code",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("grant", sa.String(), sa.ForeignKey("oauth_grant.id"), nullable=False),
        text("redirect_uri"),
        text("challenge"),
        instant("expires_ms"),
        instant("used_ms", nullable=True),
    )
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("grant", sa.String(), sa.ForeignKey("oauth_grant.id"), nullable=False,
                  index=True),
        text("bound"),
        instant("created_ms"),
        instant("expires_ms"),
        instant("used_ms", nullable=True),
    )  # fmt: skip
    op.create_table("revoked_token", text("jti", primary_key=True), instant("expires_ms"))
    op.create_table(
        "seen_assertion",
        text("client", primary_key=True),
        text("jti", primary_key=True),
        instant("expires_ms"),
    )


def _keys() -> None:
    op.create_table(
        "signing_key",
        text("kid", primary_key=True),
        sa.Column("public", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        text("pepper"),
        instant("created_ms"),
        instant("retired_ms", nullable=True),
    )
    op.create_table(
        "trusted_issuer",
        text("issuer", primary_key=True),
        text("audience"),
        text("jwks_uri"),
        sa.Column("consumer", sa.String(), sa.ForeignKey("consumer.name"), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        instant("created_ms"),
        instant("fetched_ms", nullable=True),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    with op.batch_alter_table("admin_token") as admin_token:
        for column in ("expires_ms", "name", "role"):
            admin_token.drop_column(column)


def text(name: str, *, nullable: bool = False, **more: object) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable, **more)  # type: ignore[arg-type]


def instant(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)
