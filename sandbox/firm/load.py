"""This file exists to put the demo firm into the vendors' stores, once, with its ground truth.

Owns   home/sandbox/secrets.json (0600, random, made once) and home/sandbox/ground-truth.json.
Fails  Taken when a store already holds another firm.
"""

import os
import secrets
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import msgspec
from joserfc.jwk import ECKey
from msgspec import Struct

from chassis import clock
from sandbox.app import Sandbox
from sandbox.firm import (
    into_float,
    into_kantata,
    into_netsuite,
    into_salesforce,
    into_workday,
)
from sandbox.firm.generate import generate
from sandbox.firm.model import Firm
from sandbox.firm.vendors import Rows


class Secrets(Struct, frozen=True):
    """What the sandbox's vendors and our connectors share. netsuite_key: PEM, EC on P-256."""

    kantata: str
    salesforce: str
    workday: str
    float: str
    netsuite_key: str


class Truth(Struct, frozen=True, kw_only=True):
    """What the generator knows. expected: codes by PSA entry id, empty for what must flow.

    legacy: workspace ids without our code, and the project they stand for.
    """

    size: str
    seed: int
    month: date
    entries: int
    expected: dict[str, tuple[str, ...]]
    legacy: dict[str, str]
    billable: int


def last_month(today: date) -> date:
    """The first day of the month before the one of `today`."""
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


def secrets_in(home: Path) -> Secrets:
    """The sandbox's secrets, made on first use."""
    file = home / "sandbox" / "secrets.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        key = ECKey.generate_key("P-256").as_pem(private=True).decode()
        made = Secrets(
            kantata=secrets.token_urlsafe(24),
            salesforce=secrets.token_urlsafe(24),
            workday=secrets.token_urlsafe(24),
            float=secrets.token_urlsafe(24),
            netsuite_key=key,
        )
        body = msgspec.json.encode(made)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(body)
    return msgspec.json.decode(file.read_bytes(), type=Secrets)


def truth_in(home: Path) -> Truth | None:
    """The ground truth of the firm that was loaded, None before."""
    file = home / "sandbox" / "ground-truth.json"
    return msgspec.json.decode(file.read_bytes(), type=Truth) if file.exists() else None


def load(sandbox: Sandbox, home: Path, *, size: str, seed: int, month: date | None = None) -> Truth:
    """Generate and store the firm. Every vendor's rows go in with one transaction a kind."""
    own = secrets_in(home)
    firm = generate(size, seed, month or last_month(clock.now().date()))
    kantata, book = into_kantata.rows(firm, own.kantata)
    netsuite = into_netsuite.rows(firm)
    public = ECKey.import_key(own.netsuite_key).as_dict(private=False)
    certificate = {"client_id": into_netsuite.CLIENT_ID, "public_key": public}
    netsuite.add("certificate", into_netsuite.CERTIFICATE_ID, certificate)
    poured: Mapping[str, Rows] = {
        "salesforce": into_salesforce.rows(firm, own.salesforce),
        "workday": into_workday.rows(firm, own.workday),
        "netsuite": netsuite,
        "float": into_float.rows(firm, own.float),
        "kantata": kantata,
    }
    for vendor, rows in poured.items():
        if vendor in sandbox.houses:
            for kind, documents in rows.by_kind.items():
                sandbox.houses[vendor].store.bulk_put(kind, documents)
    truth = _truth(firm, book)
    (home / "sandbox" / "ground-truth.json").write_bytes(msgspec.json.encode(truth))
    return truth


def _truth(firm: Firm, book: into_kantata.Book) -> Truth:
    return Truth(
        size=firm.size,
        seed=firm.seed,
        month=firm.month,
        entries=len(firm.entries),
        expected={
            book.entries[e.number]: tuple(sorted(e.expected)) for e in firm.entries if e.expected
        },
        legacy={book.projects[code]: stands for code, stands in firm.legacy_projects.items()},
        billable=sum(1 for e in firm.entries if e.billable and not e.expected),
    )
