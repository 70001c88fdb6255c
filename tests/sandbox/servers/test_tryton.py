"""The real ERP as others rely on it: seeded, quick to have again, and firm where it must be."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from chassis import clock
from sandbox.servers import launch
from sandbox.servers import tryton as erps
from sandbox.servers.tryton import Erp, Serving, tryton
from sandbox.servers.tryton_rpc import Refused, Tryton

pytestmark = [
    pytest.mark.real_erp,
    pytest.mark.xdist_group("real_erp"),
    pytest.mark.skipif(
        not erps.is_built() and not os.environ.get("FIRMWIRE_TEST_REAL_ERP"),
        reason="python -m sandbox.servers.tryton build, or FIRMWIRE_TEST_REAL_ERP=1",
    ),
]
OPENED: list[Tryton] = []


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with tryton() as running:
        yield running


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(scope="module")
def erp(serving: Serving) -> Erp:
    return serving.erp


def session(erp: Erp) -> Tryton:
    """As our connector: the user with the rights it needs and no more."""
    opened = Tryton(erp.url, erp.database)
    OPENED.append(opened)
    opened.login(erp.user, erp.passwords.user)
    return opened


def administrator(erp: Erp) -> Tryton:
    OPENED.append(erp.admin())
    return OPENED[-1]


def draft(books: Tryton, reference: str, hours: str = "1.333333") -> dict[str, Any]:
    """An invoice to a new customer, for some consulting."""
    address = ["create", [{"street": "Weg 2", "city": "Hamburg"}]]
    party = books.create("party.party", name="Client", addresses=[address])
    mine = ["company", "=", books.context["company"]]

    def account(kind: str) -> int:
        domain = ([f"type.{kind}", "=", True], ["closed", "!=", True], mine)
        return books.find("account.account", *domain)

    line = {
        "type": "line", "company": books.context["company"],
        "currency": books.find("currency.currency", ["code", "=", "EUR"]),
        "description": "Consulting", "quantity": float(hours), "unit_price": Decimal("120.00"),
        "product": books.find("product.product", ["code", "=", "TIME"]),
        "unit": books.find("product.uom", ["name", "=", "Hour"]), "account": account("revenue"),
        "taxes": [["add", [books.find("account.tax", ["name", "=", "LE-DE:S"])]]],
    }  # fmt: skip
    return {
        "type": "out", "company": books.context["company"], "party": party,
        "invoice_address": books.find("party.address", ["party", "=", party]),
        "currency": line["currency"], "account": account("receivable"),
        "journal": books.find("account.journal", ["type", "=", "revenue"]),
        "payment_term": books.find("account.invoice.payment_term"),
        "invoice_date": clock.today("Europe/Berlin"), "reference": reference,
        "lines": [["create", [line]]],
    }  # fmt: skip


def test_the_books_are_ready_to_post(erp: Erp):
    """A first invoice gets a legal number, its tax, and hours as exact as we bill them."""
    books = session(erp)
    made = books.create("account.invoice", **draft(books, "READY-1"))
    books("model.account.invoice.post", [made])
    fields = ["number", "state", "untaxed_amount", "tax_amount", "total_amount"]
    row = books("model.account.invoice.read", [made], fields)[0]
    del row["id"]
    assert row == {
        "number": f"{clock.today('Europe/Berlin').year}-00001",
        "state": "posted",
        "untaxed_amount": Decimal("160.00"),
        "tax_amount": Decimal("30.40"),
        "total_amount": Decimal("190.40"),
    }


def test_three_years_of_periods_are_open(erp: Erp):
    """Last month is open in January, next month in December."""
    books, year = session(erp), clock.now().year
    rows = books("model.account.period.search_read", [], 0, None, None, ["start_date", "state"])
    assert {row["state"] for row in rows} == {"open"}
    months = {(each, month) for each in (year - 1, year, year + 1) for month in range(1, 13)}
    assert {(row["start_date"].year, row["start_date"].month) for row in rows} == months


def test_racing_creates_of_one_reference_make_one_invoice(serving: Serving):
    """The ERP itself lets duplicates pass; the guard in its database does not."""
    erp = serving.fresh()
    body = draft(session(erp), "RACE-1")

    def create(_number: int) -> str:
        books = session(erp)
        try:
            books.create("account.invoice", **body)
        except Refused as refused:
            return "duplicate" if "duplicate key" in str(refused) else str(refused)
        return "made"

    with ThreadPoolExecutor(8) as pool:
        said = Counter(pool.map(create, range(8)))
    assert said == {"made": 1, "duplicate": 7}
    with psycopg.connect(serving.tables(erp)) as connection:
        rows = connection.execute("SELECT count(*) FROM account_invoice").fetchone()
    assert rows == (1,)


def test_a_cancelled_invoice_gives_its_reference_back(erp: Erp):
    """Otherwise a mistake of finance would block the reference for ever."""
    books = session(erp)
    body = draft(books, "BACK-1")
    made = books.create("account.invoice", **body)
    books("model.account.invoice.cancel", [made])
    assert books.create("account.invoice", **body) != made


def test_one_code_is_one_project(erp: Erp):
    """A project carries its code in front of its name, once a company."""
    books = session(erp)
    project = {"type": "project", "company": books.context["company"]}
    books.create("project.work", name="[P-1] First", **project)
    books.create("project.work", name="without a code", **project)
    books.create("project.work", name="without a code", **project)
    with pytest.raises(Refused, match="duplicate key"):
        books.create("project.work", name="[P-1] Second", **project)


def test_a_fresh_erp_knows_nothing_of_another(serving: Serving):
    """Tests do not see each other's books."""
    first, second = serving.fresh(), serving.fresh()
    session(first).create("party.party", name="Only here", code="HERE-1")
    named = [["code", "=", "HERE-1"]]
    assert session(first)("model.party.party.search_count", named) == 1
    assert session(second)("model.party.party.search_count", named) == 0


def test_the_connector_is_no_administrator(erp: Erp):
    """It does the books' daily work and cannot change users."""
    with pytest.raises(Refused):
        session(erp).create("res.user", name="Other", login="other")
    assert administrator(erp).find("res.user", ["login", "=", erp.user]) > 0


def test_the_cache_is_used(monkeypatch):
    """A second build makes nothing: it neither installs nor prepares."""
    told: list[str] = []
    first = erps.build()
    monkeypatch.setattr(launch, "run", None)
    assert erps.build(lambda step, _fraction: told.append(step)) == first
    assert told == []


def test_two_builders_wait_for_each_other(tmp_path: Path, monkeypatch):
    """The second takes what the first has made."""
    made: list[str] = []

    def install(venv: Path, report: erps.Report) -> None:
        if not (venv / "complete").exists():
            venv.mkdir()
            (venv / "complete").touch()
            made.append("venv")

    def books(venv: Path, dump: Path, *_: object) -> None:
        dump.touch()
        made.append("books")

    monkeypatch.setenv("FIRMWIRE_CACHE", str(tmp_path))
    monkeypatch.setattr(erps, "_install", install)
    monkeypatch.setattr(erps, "_make_books", books)
    with ThreadPoolExecutor(4) as pool:
        built = set(pool.map(lambda _: erps.build(), range(4)))
    assert len(built) == 1
    assert sorted(made) == ["books", "venv"]


def test_a_half_made_dump_is_made_again(tmp_path: Path, monkeypatch):
    """Killed in the middle: the keys are there, the books are not; the next run mends it."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("FIRMWIRE_CACHE", str(tmp_path))
    monkeypatch.setattr(erps, "_install", lambda *_: None)
    monkeypatch.setattr(erps, "_make_books", killed)
    with pytest.raises(KeyboardInterrupt):
        erps.build()
    monkeypatch.setattr(erps, "_make_books", lambda _venv, dump, *_: dump.touch())
    built = erps.build()
    keys = built.dump.with_suffix(".json")
    assert msgspec.json.decode(keys.read_bytes())["user"] == built.passwords.user
    assert oct(keys.stat().st_mode & 0o777) == "0o600"


@pytest.mark.slow
def test_a_folder_keeps_the_books(kept: Path):
    """What was posted before a restart is there after it."""
    with tryton(kept) as running:
        session(running.erp).create("party.party", name="Stays", code="STAYS-1")
    with tryton(kept) as running:
        assert session(running.erp).find("party.party", ["code", "=", "STAYS-1"]) > 0


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped():
    """Its one line of output is all a client needs; afterwards nothing listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.servers.tryton", "serve"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ), text=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    try:
        assert process.stdout is not None
        erp = msgspec.json.decode(process.stdout.readline(), type=Erp)
        assert session(erp).context["company"] > 0
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
    assert not launch.listens(int(erp.url.rpartition(":")[2]))


def test_an_unknown_word_says_how_to_use_it(capsys):
    """Neither a traceback nor silence."""
    assert erps.main(["buidl"]) == 2
    assert "build|serve" in capsys.readouterr().err


def test_dates_and_amounts_survive_the_wire(erp: Erp):
    """The second witness reads what it wrote, exactly."""
    books = administrator(erp)
    made = books.create(
        "currency.currency.rate", currency=books.find("currency.currency", ["code", "=", "USD"]),
        date=date(2024, 2, 29), rate=Decimal("1.081234"),
    )  # fmt: skip
    row = books("model.currency.currency.rate.read", [made], ["date", "rate"])[0]
    assert (row["date"], row["rate"]) == (date(2024, 2, 29), Decimal("1.081234"))
