"""Two replicas on one PostgreSQL: one dies for good, or is held up and comes back; the other posts

everything once. The ERP here takes a second document of the same reference without a word.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "process_apis" / "billing"))

from billed_firm import seed
from erp_witness import Witness, witnessing

from chassis.database import Database

CHILD = Path(__file__).parent / "process_child.py"
CONTRACTS = 24
REPLICAS = ("process-1", "process-2")


class Tiers:
    """Two processes. url: of the ERP. shared: their database."""

    def __init__(self, home: Path, url: str, shared: str) -> None:
        self.home, self.url, self.shared = home, url, shared
        self.children = {}

    async def start(self, executor: str) -> None:
        with (self.home / f"{executor}.log").open("w") as said:
            self.children[executor] = await asyncio.create_subprocess_exec(
                sys.executable, str(CHILD), str(self.home), self.url, str(CONTRACTS),
                executor, self.shared, stdout=said, stderr=said, cwd=CHILD.parents[2],
            )  # fmt: skip

    def send(self, executor: str, sign: signal.Signals) -> None:
        os.kill(self.children[executor].pid, sign)

    async def stop(self) -> None:
        for child in self.children.values():
            if child.returncode is None:
                os.kill(child.pid, signal.SIGKILL)
                await child.wait()

    def ask(self, sql: str) -> list:
        with psycopg.connect(self.shared) as connection:
            return [row[0] for row in connection.execute(sql)]

    async def until(self, look, within_s: float = 90.0) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not look():
            if loop.time() > end:
                raise AssertionError(self.told())
            await asyncio.sleep(0.01)

    def told(self) -> str:
        logs = [(self.home / f"{name}.log").read_text()[-3000:] for name in self.children]
        return "\n".join([*self.ask("SELECT status FROM invoice"), *logs])

    def under_way(self, executor: str) -> int:
        with psycopg.connect(f"{self.shared}_runs") as connection:
            (number,) = connection.execute(
                "SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' "
                "AND name = 'post_invoice' AND executor_id = %s", [executor],
            ).fetchone()  # fmt: skip
        return number


@pytest.fixture
async def tiers(tmp_path: Path, postgres_url: str):
    witness = Witness(settle_s=0.4, lanes=4, unique=False, latency_s=0.02)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {postgres_url.rpartition('/')[2]}_runs")
    database = Database(postgres_url, name="process")
    await asyncio.to_thread(database.migrate, "process_apis.migrations")
    await database.write(lambda c: seed(c, contracts=CONTRACTS, rows_each=3))
    await database.aclose()
    async with witnessing(witness, tmp_path) as url:
        tiers = Tiers(tmp_path, url, postgres_url)
        tiers.witness = witness
        yield tiers
        await tiers.stop()


async def at_work(tiers: Tiers) -> str:
    """Who has runs in hand; the ERP takes nothing until it is let."""
    tiers.witness.before_commit = asyncio.Event()
    for executor in REPLICAS:
        await tiers.start(executor)
    there = "SELECT executor FROM executor_beat"
    await tiers.until(lambda: sorted(tiers.ask(there)) == sorted(REPLICAS))
    (tiers.home / "go").touch()
    await tiers.until(lambda: sum(tiers.witness.posts.values()) > 0)
    return max(REPLICAS, key=tiers.under_way)


def answered(tiers: Tiers) -> None:
    held, tiers.witness.before_commit = tiers.witness.before_commit, None
    held.set()


async def ends_well(tiers: Tiers) -> None:
    await tiers.until(lambda: tiers.ask("SELECT status FROM invoice") == ["POSTED"] * CONTRACTS)
    held = sorted(kept.invoice.reference for kept in tiers.witness.documents)
    ours = sorted(tiers.ask("SELECT external_ref FROM invoice"))
    assert (tiers.witness.duplicates(), held) == (0, ours)
    assert tiers.ask("SELECT count(*) FROM work_item WHERE state = 'OPEN'") == [0]
    assert tiers.ask("SELECT DISTINCT status FROM ledger") == ["BILLED"]
    assert tiers.ask("SELECT sum(billed_minor) FROM ledger") == [CONTRACTS * 12550]
    posted = "SELECT count(*) FROM event_log WHERE type = 'firmwire.invoice.posted.v1'"
    assert tiers.ask(posted) == [CONTRACTS]


async def test_two_at_once_post_nothing_twice(tiers: Tiers):
    """Whoever takes a run, it is one of them."""
    await at_work(tiers)
    answered(tiers)
    await ends_well(tiers)
    assert sorted(tiers.ask("SELECT executor FROM executor_beat")) == sorted(REPLICAS)


async def test_one_dies_and_never_comes_back(tiers: Tiers):
    """SIGKILL with its calls under way: the other takes up its runs, and its row goes."""
    gone = await at_work(tiers)
    tiers.send(gone, signal.SIGKILL)
    answered(tiers)
    await ends_well(tiers)
    await tiers.until(lambda: gone not in tiers.ask("SELECT executor FROM executor_beat"))


async def test_one_is_held_up_and_comes_back(tiers: Tiers):
    """SIGSTOP until its runs are taken over and done, then SIGCONT: it sends nothing twice."""
    gone = await at_work(tiers)
    tiers.send(gone, signal.SIGSTOP)
    answered(tiers)
    await ends_well(tiers)
    await tiers.until(lambda: gone not in tiers.ask("SELECT executor FROM executor_beat"))
    tiers.send(gone, signal.SIGCONT)
    await tiers.until(lambda: gone in tiers.ask("SELECT executor FROM executor_beat"))
    await tiers.until(lambda: not tiers.under_way(gone))
    await ends_well(tiers)
