"""Databases of before are brought along without anybody noticing."""

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from contracts.change import FIRST


def test_keys_of_before_versions_keep_the_first_one(tmp_path):
    """Their holders never said a version, and wrote their programs against that one."""
    engine = create_engine(f"sqlite:///{tmp_path / 'gateway.sqlite'}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "gateway.control:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.execute(text("INSERT INTO plan VALUES ('p', '[]', 0, 0, 0)"))
        connection.execute(text("INSERT INTO consumer (name, plan) VALUES ('acme', 'p')"))
        connection.execute(
            text(
                "INSERT INTO api_key (id, consumer, display, digest, pepper, scopes, networks, "
                "created_ms) VALUES ('key_1', 'acme', 'fw_live_aaaa', 'd', 'p', '[]', '[]', 0)"
            )
        )
        command.upgrade(config, "0005")
        rows = connection.execute(text("SELECT id, version_pin FROM api_key")).all()
        assert [tuple(row) for row in rows] == [("key_1", FIRST)]
        command.downgrade(config, "0004")
        assert connection.execute(text("SELECT count(*) FROM api_key")).scalar_one() == 1
    engine.dispose()
