"""SIGKILL between any two steps of posting: no duplicate, none lost, no doubt left open.

The ERP here takes a second document of the same reference without a word, so that the protocol
alone has to prevent it. Nothing in production code knows of these tests: the killer watches the
witness and the database.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "process_apis" / "billing"))

from billed_firm import seed
from erp_witness import Witness, witnessing

from chassis.database import Database

CHILD = Path(__file__).parent / "process_child.py"
CONTRACTS = 4


class Tier:
    """The child process, started as often as it takes. file: its database, only read here."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url, self.child = home, url, None
        self.lives = 0

    async def start(self) -> None:
        self.lives += 1
        with (self.home / "child.log").open("a") as said:
            self.child = await asyncio.create_subprocess_exec(
                sys.executable, str(CHILD), str(self.home), self.url, str(CONTRACTS),
                stdout=said, stderr=said, cwd=CHILD.parents[2],
            )  # fmt: skip

    async def kill(self) -> None:
        if self.child is not None and self.child.returncode is None:
            os.kill(self.child.pid, signal.SIGKILL)
            await self.child.wait()

    def ask(self, sql: str) -> list:
        with contextlib.closing(sqlite3.connect(self.home / "process.sqlite")) as connection:
            return [row[0] for row in connection.execute(sql)]

    def statuses(self) -> list[str]:
        return self.ask("SELECT status FROM invoice ORDER BY external_ref")

    def shows(self, sql: str) -> bool:
        return bool(self.ask(sql)[0])

    async def until(self, look, within_s: float = 90.0) -> None:
        """Generous: a life begins with seconds of imports, many more on a machine at work."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not look():
            if self.child.returncode is not None or loop.time() > end:
                raise AssertionError(self.told())
            await asyncio.sleep(0.005)

    def told(self) -> str:
        """What there is to know of a life that did not come to its end."""
        said = (self.home / "child.log").read_text().splitlines()[-20:]
        attempts = self.ask(
            "SELECT invoice_id || ' ' || attempt_no || ' ' || kind || ' ' || outcome "
            "FROM posting_attempt ORDER BY 1"
        )
        lines = (f"life {self.lives}, status {self.child.returncode}", *self.statuses(), *attempts)
        return "\n".join((*lines, *said))


@pytest.fixture
async def tier(tmp_path: Path):
    witness = Witness(settle_s=0.4, lanes=2, unique=False, latency_s=0.02)
    database = Database(f"sqlite:///{tmp_path / 'process.sqlite'}", name="process")
    await asyncio.to_thread(database.migrate, "process_apis.migrations")
    await database.write(lambda c: seed(c, contracts=CONTRACTS, rows_each=3))
    await database.aclose()
    async with witnessing(witness, tmp_path) as url:
        tier = Tier(tmp_path, url)
        tier.witness = witness
        yield tier
        await tier.kill()


async def ends_well(tier: Tier) -> None:
    """Everything posted once; books, attempts and items say so."""
    await tier.until(lambda: tier.statuses() == ["POSTED"] * CONTRACTS)
    held = sorted(kept.invoice.reference for kept in tier.witness.documents)
    ours = sorted(tier.ask("SELECT external_ref FROM invoice"))
    assert (tier.witness.duplicates(), held) == (0, ours)
    assert tier.ask("SELECT count(*) FROM posting_attempt WHERE outcome = ''") == [0]
    assert tier.ask("SELECT count(*) FROM work_item WHERE state = 'OPEN'") == [0]
    assert tier.ask("SELECT DISTINCT status FROM ledger") == ["BILLED"]
    assert tier.ask("SELECT sum(billed_minor) FROM ledger") == [CONTRACTS * 12550]
    posted = "SELECT count(*) FROM event_log WHERE type = 'firmwire.invoice.posted.v1'"
    assert tier.ask(posted) == [CONTRACTS]


STATES = {
    "the run is there": "SELECT count(*) FROM billing_run",
    "drafts are written": "SELECT count(*) FROM invoice",
    "invoices are queued": "SELECT count(*) FROM invoice WHERE status = 'QUEUED'",
    "an attempt is committed": "SELECT count(*) FROM posting_attempt",
    "one is posted": "SELECT count(*) FROM invoice WHERE status = 'POSTED'",
}


@pytest.mark.parametrize("sql", STATES.values(), ids=STATES)
async def test_killed_when_the_database_shows(tier: Tier, sql: str):
    """Right after a commit, before the next step."""
    await tier.start()
    await tier.until(lambda: tier.shows(sql))
    await tier.kill()
    await tier.start()
    await ends_well(tier)


@pytest.mark.parametrize("call", [1, 3])
async def test_killed_while_the_erp_holds_a_request_it_has_not_taken(tier: Tier, call: int):
    """The call was made; the ERP commits after its caller is dead."""
    tier.witness.before_commit = asyncio.Event()
    await tier.start()
    await tier.until(lambda: sum(tier.witness.posts.values()) >= min(call, 2))
    await tier.kill()
    tier.witness.before_commit.set()
    tier.witness.before_commit = None
    await tier.start()
    await ends_well(tier)


async def test_killed_after_the_erp_committed_before_it_answers(tier: Tier):
    """The document is there, nobody was told."""
    tier.witness.after_commit = asyncio.Event()
    await tier.start()
    await tier.until(lambda: len(tier.witness.documents) >= 2)
    await tier.kill()
    tier.witness.after_commit.set()
    tier.witness.after_commit = None
    await tier.start()
    await ends_well(tier)


@pytest.mark.parametrize("fault", ["silent", "silent_after_commit", "late_commit:0.3"])
async def test_killed_while_in_doubt(tier: Tier, fault: str):
    """The wait and the lookups go on in the next life; nothing is sent blindly."""
    tier.witness.faults.extend([fault] * 2)
    await tier.start()
    await tier.until(lambda: tier.shows("SELECT count(*) FROM invoice WHERE status = 'IN_DOUBT'"))
    await tier.kill()
    await tier.start()
    await ends_well(tier)


async def test_killed_again_after_the_first_lookup_found_nothing(tier: Tier):
    """Absent once is not absent twice."""
    tier.witness.faults.append("silent")
    await tier.start()
    await tier.until(lambda: sum(tier.witness.lookups.values()) >= CONTRACTS + 1)
    await tier.kill()
    await tier.start()
    await ends_well(tier)


@pytest.mark.slow
@pytest.mark.parametrize("seed_number", [1, 2])
async def test_killed_at_random_again_and_again(tier: Tier, seed_number: int):
    """Eight lives of a random length, an ERP that loses every third answer."""
    chance = random.Random(seed_number)
    faults = ["", "silent_after_commit", "", "late_commit:0.2", "error_after_commit", "silent"]
    tier.witness.faults.extend(chance.choices(faults, k=12))
    tier.witness.latency_s = 0.1
    for _ in range(7):
        await tier.start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tier.child.wait(), 1.2 + chance.random() * 1.2)
        await tier.kill()
    await tier.start()
    await ends_well(tier)
