"""This file exists to have a real ERP for a while: Tryton, seeded, that nobody here wrote.

Built once into a cache (FIRMWIRE_CACHE, else ~/.cache/firmwire): a virtual environment of its own
and a dump of the seeded database, both named by what went into them. Then every start is seconds.
Owns   the cache, a PostgreSQL, the databases in it, and the server's process.
Fails  Missing, Died, Refused; OSError when the cache cannot be written.
Licence Tryton is GPL-3-or-later; it is installed by its users and spoken to over HTTP.
"""

import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

import msgspec
import psycopg
from msgspec import Struct

from chassis import clock
from sandbox.servers import launch, tryton_seed
from sandbox.servers.launch import HOST, Died
from sandbox.servers.postgres import Postgres, postgres
from sandbox.servers.tryton_rpc import Refused, Tryton

Report = Callable[[str, float], None]
"""Told what is being done and how far it is, from 0 to 1."""

CONSTRAINTS = Path(__file__).with_name("tryton-constraints.txt")
MODULES = ("account_invoice", "project_invoice", "timesheet_cost", "company_work_time")
FORMAT = 1
ADMIN, DATABASE, TEMPLATE = "admin", "erp", "erp_template"
INSTALL_WITHIN_S, INIT_WITHIN_S, START_WITHIN_S = 600.0, 1200.0, 90.0
INIT_LOG_BYTES = 70_000  # what trytond-admin says in all, to tell how far it is
THREADS = 4
# What the ERP's own API cannot be told.
# The company's tax number is valid without asking the EU, else every posting begins with a doubt.
# Customer invoices carry our reference once: the database holds it, whatever races above it.
# A cancelled one gives its reference back. Jobs carry their code in front of their name.
BEYOND_API = (
    "UPDATE party_identifier SET eu_vat_valid = TRUE WHERE type = 'eu_vat'",
    "CREATE UNIQUE INDEX firmwire_invoice_reference ON account_invoice (company, reference)"
    " WHERE type = 'out' AND reference IS NOT NULL AND state <> 'cancelled'",
    "CREATE UNIQUE INDEX firmwire_project_code ON project_work"
    " (company, substring(name from '^\\[[^]]+\\]'))"
    " WHERE type = 'project' AND parent IS NULL AND name LIKE '[%]%'",
)


class Passwords(Struct, frozen=True):
    """admin: the administrator's. user: of tryton_seed.USER, whom our connector is."""

    admin: str
    user: str


class Built(Struct, frozen=True):
    """venv: has the server's programs. dump: the seeded database."""

    venv: Path
    dump: Path
    passwords: Passwords


class Erp(Struct, frozen=True):
    """One ERP that answers, with a database of its own."""

    url: str
    database: str
    passwords: Passwords
    user: str = tryton_seed.USER

    def admin(self) -> Tryton:
        """A session of the administrator."""
        session = Tryton(self.url, self.database)
        session.login(ADMIN, self.passwords.admin)
        return session


class Serving:
    """erp: the first. All on one PostgreSQL, each a process of its own, until the block ends."""

    def __init__(
        self, stack: ExitStack, server: Postgres, built: Built, *, keeps: bool, port: int
    ) -> None:
        self._stack = stack
        self._server = server
        self._built = built
        self._numbers = count(1)
        self.erp = self._open(DATABASE, port) if keeps else self.fresh(port)

    def _open(self, name: str, port: int) -> Erp:
        """The ERP of a database, made from the template when it is not there."""
        if not self._server.has(name):
            self._server.create(name, TEMPLATE)
        work = Path(tempfile.mkdtemp(prefix="firmwire-tryton-"))
        self._stack.callback(shutil.rmtree, work, ignore_errors=True)
        served = _served(self._built.venv, self._server, name, work, port)
        url = self._stack.enter_context(served)
        return Erp(url=url, database=name, passwords=self._built.passwords)

    def fresh(self, port: int = 0) -> Erp:
        """An ERP as empty as the seeding left it, gone with the block.

        It has a process of its own: a running server learns of new databases an hour late, and
        a login that comes too soon leaves it broken for that database (trytond 8.2.1).
        """
        name = f"{DATABASE}_{os.getpid()}_{next(self._numbers)}"
        self._stack.callback(self._server.drop, name)
        return self._open(name, port)

    def tables(self, erp: Erp) -> str:
        """The address of an ERP's tables, for a test's second look past the ERP."""
        return self._server.url(erp.database)


def quiet(_step: str, _fraction: float) -> None:
    """Report to nobody."""


@contextmanager
def tryton(
    folder: Path | None = None, *, port: int = 0, report: Report = quiet
) -> Iterator[Serving]:
    """A seeded ERP. folder: keeps its books there; without one they end with the block."""
    built = build(report)
    with ExitStack() as stack:
        report("starting its database", 0.9)
        server = stack.enter_context(postgres(folder / "postgres" if folder else None))
        _template(server, built)
        report("starting the ERP", 0.95)
        serving = Serving(stack, server, built, keeps=folder is not None, port=port)
        report("the ERP is up", 1.0)
        yield serving


def _template(server: Postgres, built: Built) -> None:
    """Restored under another name first, so that a half of one is never taken for it."""
    if server.has(TEMPLATE):
        return
    part = f"{TEMPLATE}_{secrets.token_hex(4)}"
    server.restore(part, built.dump)
    try:
        server.rename(part, TEMPLATE)
    except psycopg.errors.DuplicateDatabase:  # another process was faster
        server.drop(part)


@contextmanager
def _served(venv: Path, server: Postgres, name: str, work: Path, port: int) -> Iterator[str]:
    """Keep-alive and threads, which the ERP's own development server has not."""
    chosen = port or launch.free_port()
    url = f"http://{HOST}:{chosen}"
    command: list[str | Path] = [
        venv / "bin" / "granian", "--interface", "wsgi", "--host", HOST, "--port", str(chosen),
        "--workers", "1", "--blocking-threads", str(THREADS), "--no-ws", "trytond.application:app",
    ]  # fmt: skip
    with launch.running(
        command, lambda: _answers(url, name), log=work / "log", within_s=START_WITHIN_S,
        env=_environment(server, work) | {"TRYTOND_DATABASE_NAMES": name}, folder=work,
    ):  # fmt: skip
        yield url


def _answers(url: str, name: str) -> bool:
    session = Tryton(url, name)
    try:
        session.version()
    except (OSError, Refused):
        return False
    finally:
        session.close()
    return True


def _environment(server: Postgres, work: Path) -> dict[str, str]:
    """Tryton's settings. A queue without a worker: printing invoices is nobody's job here."""
    return {
        "TRYTOND_DATABASE__URI": f"{server.address}/",
        "TRYTOND_DATABASE__PATH": str(work / "files"),
        "TRYTOND_SESSION__TIMEOUT": "3600",
        "TRYTOND_QUEUE__WORKER": "True",
        "TRYTOND_PRODUCT__PRICE_DECIMAL": "6",
    }


def build(report: Report = quiet) -> Built:
    """What the server needs, from the cache or made now. One process makes it, others wait."""
    place = cache() / "tryton"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that is building the ERP", 0.0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        _install(_venv(), report)
        return _books(_venv(), report)


def is_built() -> bool:
    """Whether the cache has all of this version: then an ERP is seconds away."""
    return (_venv() / "complete").exists() and _dump(clock.now().year).exists()


def cache() -> Path:
    """Where built things are kept between runs."""
    given = launch.given("FIRMWIRE_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "firmwire"


def _mark(*parts: object) -> str:
    return sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:16]


def _venv() -> Path:
    return cache() / "tryton" / f"venv-{_mark(CONSTRAINTS.read_text(), sys.version)}"


def _dump(year: int) -> Path:
    """Named by everything that decides what is in it."""
    sources = [path.read_text() for path in (CONSTRAINTS, Path(tryton_seed.__file__))]
    mark = _mark(FORMAT, year, MODULES, BEYOND_API, *sources)
    return cache() / "tryton" / f"books-{mark}.dump"


def _install(venv: Path, report: Report) -> None:
    stamp = venv / "complete"
    if stamp.exists():
        return
    report("installing the ERP", 0.02)
    shutil.rmtree(venv, ignore_errors=True)
    log = venv.with_suffix(".log")
    launch.run([sys.executable, "-m", "venv", venv], log=log, within_s=INSTALL_WITHIN_S)
    pip: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install"]
    options = ["--disable-pip-version-check", "--no-input", "-r", str(CONSTRAINTS)]
    launch.run([*pip, *options], log=log, within_s=INSTALL_WITHIN_S)
    stamp.touch()
    log.unlink()


def _books(venv: Path, report: Report) -> Built:
    year = clock.now().year
    dump = _dump(year)
    keys = dump.with_suffix(".json")
    if not dump.exists():
        passwords = Passwords(secrets.token_urlsafe(18), secrets.token_urlsafe(18))
        keys.unlink(missing_ok=True)
        with open(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(msgspec.json.encode(passwords))
        _make_books(venv, dump, passwords, year, report)
    return Built(venv, dump, msgspec.json.decode(keys.read_bytes(), type=Passwords))


def _make_books(venv: Path, dump: Path, passwords: Passwords, year: int, report: Report) -> None:
    name = f"{DATABASE}_{secrets.token_hex(4)}"
    work = Path(tempfile.mkdtemp(prefix="firmwire-tryton-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        report("starting its database", 0.1)
        server = stack.enter_context(postgres())
        server.create(name)
        stack.callback(server.drop, name)
        _initialise(venv, server, name, work, passwords.admin, report)
        report("seeding the books", 0.8)
        with _served(venv, server, name, work, 0) as url:
            session = Tryton(url, name)
            session.login(ADMIN, passwords.admin)
            tryton_seed.seed(session, year, passwords.user)
            session.close()
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            for statement in BEYOND_API:
                connection.execute(statement)
        report("keeping the books", 0.88)
        server.dump(name, dump)


def _initialise(
    venv: Path, server: Postgres, name: str, work: Path, password: str, report: Report
) -> None:
    """Tables and views of every module: the minutes the cache saves everybody after."""
    secret, log = work / "password", work / "init.log"
    secret.write_text(password)
    log.touch()
    admin: list[str | Path] = [venv / "bin" / "trytond-admin", "-vv", "-d", name]
    options = ["--email", "erp@firm.example", "-u", *MODULES, "--activate-dependencies"]
    process = launch.start(
        [*admin, *options],
        env=_environment(server, work) | {"TRYTONPASSFILE": str(secret)},
        folder=work,
        log=log,
    )

    told = [-1]

    def done() -> bool:
        size = log.stat().st_size
        if size != told[0]:
            told[0] = size
            far = min(1.0, size / INIT_LOG_BYTES)
            report("preparing the ERP's database, once", 0.12 + 0.68 * far)
        return process.poll() == 0

    try:
        launch.until(done, process, log=log, within_s=INIT_WITHIN_S)
    finally:
        launch.end(process, signal.SIGTERM)


def main(words: list[str]) -> int:
    """`build`: fill the cache. `serve`: an ERP until ^C; its address and passwords as JSON."""
    said = [""]

    def tell(step: str, fraction: float) -> None:
        line = f"{fraction:4.0%} {step}"
        if line != said[0]:
            said[0] = line
            sys.stderr.write(f"{line}\n")

    try:
        if words == ["build"]:
            sys.stdout.write(f"{build(tell).dump}\n")
        elif words == ["serve"]:
            with tryton(report=tell) as serving:
                sys.stdout.write(f"{msgspec.json.encode(serving.erp).decode()}\n")
                sys.stdout.flush()
                launch.interrupted()
        else:
            sys.stderr.write("python -m sandbox.servers.tryton build|serve\n")
            return 2
    except (launch.Missing, Died, Refused) as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
