"""A transaction is all or nothing, readers never wait, and both databases behave alike."""

import asyncio
import sys
import threading

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from chassis import travel
from chassis.database import Database, migrate, normal, url_of

metadata = MetaData()
parent = Table("parent", metadata, Column("id", Integer, primary_key=True), Column("name", String))


def add(*ids):
    return lambda connection: connection.execute(
        insert(parent), [{"id": id, "name": "x"} for id in ids]
    )


def count(connection):
    return connection.execute(select(func.count()).select_from(parent)).scalar_one()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return url_of(tmp_path / "home", "test")


@pytest.fixture
async def database(url):
    made = Database(url, name="test")
    await made.write(metadata.create_all)
    yield made
    await made.aclose()


async def test_what_is_written_is_read(database):
    """From any thread."""
    await database.write(add(1, 2))
    assert await database.read(count) == 2
    with database.reading() as connection:
        assert count(connection) == 2
    await database.check()


async def test_who_stands_still_in_a_transaction_lets_go_of_its_rows(postgres_url, monkeypatch):
    """A replica that was stopped with a row in its hand does not stop the others."""
    monkeypatch.setattr("chassis.database.IDLE_MS", 200)
    stopped, alive = Database(postgres_url, name="a"), Database(postgres_url, name="b")
    await alive.write(metadata.create_all)
    await alive.write(add(1))
    held, over = threading.Event(), threading.Event()
    row = select(parent).where(parent.c.id == 1).with_for_update()

    def standing_still(connection):
        connection.execute(row)
        held.set()
        over.wait(30)
        add(2)(connection)

    standing = asyncio.create_task(stopped.write(standing_still))
    await asyncio.to_thread(held.wait, 10)
    async with asyncio.timeout(20):
        await alive.write(lambda connection: connection.execute(row))
    over.set()
    with pytest.raises(DBAPIError):
        await standing
    assert await alive.read(count) == 1
    for each in (stopped, alive):
        await each.aclose()


async def test_a_transaction_that_raises_leaves_nothing(database):
    """In a coroutine and in plain code."""
    with pytest.raises(IntegrityError):
        await database.write(add(1, 2, 1))

    def work(connection):
        add(5)(connection)
        raise RuntimeError

    with pytest.raises(RuntimeError), database.transaction() as connection:
        work(connection)
    assert await database.read(count) == 0


async def test_many_writers_lose_nothing(database):
    """Coroutines and threads together."""

    def work(first):
        for id in range(first, first + 20):
            with database.transaction() as connection:
                add(id)(connection)

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(database.write(add(id)) for id in range(50)))
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert await database.read(count) == 110


async def test_a_reader_does_not_wait_for_a_writer(database):
    """It sees what was committed before."""
    with database.transaction() as connection:
        add(1)(connection)
        assert await asyncio.wait_for(database.read(count), 2) == 0
    assert await database.read(count) == 1


async def test_work_belongs_to_the_request_that_asked(database):
    """Ids reach the log from the database's threads as well."""
    with travel.using(travel.begin(correlation_id="c-7")):
        found = await database.write(lambda _: travel.current().correlation_id)
    assert found == "c-7"


async def test_sqlite_is_opened_with_our_manners(tmp_path):
    """WAL, foreign keys, full durability; readers cannot write."""
    database = Database(url_of(tmp_path, "x"), name="x")

    def pragmas(connection):
        names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await database.write(pragmas) == ["wal", 1, 2, 15_000]
    await database.write(metadata.create_all)
    with pytest.raises(OperationalError, match="readonly"):
        await database.read(add(1))
    await database.aclose()


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A migrations package `migrations_for_test` with one version."""
    home = tmp_path / "migrations_for_test"
    (home / "versions").mkdir(parents=True)
    (home / "__init__.py").write_text("")
    (home / "env.py").write_text(
        "from alembic import context\n"
        "context.configure(connection=context.config.attributes['connection'])\n"
        "with context.begin_transaction():\n    context.run_migrations()\n"
    )
    (home / "versions" / "0001.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision = '0001', None\n"
        "def upgrade():\n    op.create_table('made', sa.Column('id', sa.Integer))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "migrations_for_test", raising=False)
    return home


async def test_migrating_brings_the_schema_to_head_once(url, scripts):
    """Twice is as once, also when two processes start together."""
    await asyncio.gather(
        *(asyncio.to_thread(migrate, url, "migrations_for_test") for _ in range(3))
    )
    database = Database(url, name="test")
    found = await database.read(
        lambda c: c.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    )
    assert found == ["0001"]
    await database.aclose()


async def test_a_failed_migration_leaves_no_trace(url, scripts):
    """All or nothing."""
    (scripts / "versions" / "0002.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision = '0002', '0001'\n"
        "def upgrade():\n    op.create_table('half', sa.Column('id', sa.Integer))\n"
        "    raise RuntimeError('no')\n"
    )
    with pytest.raises(RuntimeError):
        migrate(url, "migrations_for_test")
    (scripts / "versions" / "0002.py").unlink()
    migrate(url, "migrations_for_test")


def test_addresses_are_read_kindly(tmp_path):
    """psycopg 3 is meant; a file is needed; other databases are refused by name."""
    assert normal("postgres://u@h/d").drivername == "postgresql+psycopg"
    assert normal("postgresql://u@h/d").drivername == "postgresql+psycopg"
    assert url_of(tmp_path / "a", "x") == f"sqlite:///{tmp_path}/a/x.sqlite"
    assert url_of(tmp_path, "x", "postgresql://h/d") == "postgresql://h/d"
    with pytest.raises(ValueError, match="file"):
        normal("sqlite://")
    with pytest.raises(ValueError, match="mysql is not supported"):
        normal("mysql://h/d")
