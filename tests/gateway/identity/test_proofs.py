"""One proof, once: two workers on one folder, two gateways on one Redis, and Redis away."""

import asyncio
import os
import signal
import subprocess
from secrets import token_bytes

import pytest

from chassis.store import Store
from gateway.identity import proofs as room
from gateway.identity.dpop import Proof
from gateway.identity.proofs import Forgetful, Proofs
from sandbox.servers import launch, valkey

NOW_S = 1_800_000_000


def proof(issued_s: int = NOW_S) -> Proof:
    return Proof("key", token_bytes(16), issued_s)


def test_of_two_workers_one_takes_it_and_a_restart_forgets_nothing(tmp_path):
    """Whoever is first; also when many come between, and by who was not there."""
    one, two = Proofs(tmp_path / "p"), Proofs(tmp_path / "p")
    given = [proof(NOW_S - at % 120) for at in range(300)]
    taken = [(one if at % 3 else two).first(each, NOW_S) for at, each in enumerate(given)]
    assert taken == [True] * 300
    later = Proofs(tmp_path / "p")
    assert not any(each.first(again, NOW_S) for again in given for each in (one, two, later))
    assert later.first(proof(), NOW_S)


def test_of_many_processes_that_race_one_is_first(tmp_path):
    """A file's order is one for all: never two, and never none."""
    given = [proof() for _ in range(500)]
    reads = []
    for _ in range(4):
        read, write = os.pipe()
        if os.fork() == 0:
            mine = Proofs(tmp_path / "p")
            os.write(write, bytes(mine.first(each, NOW_S) for each in given))
            os._exit(0)
        os.close(write)
        reads.append(read)
    told = [os.read(read, 1000) for read in reads]
    for read in reads:
        os.close(read)
        os.wait()
    assert [sum(each) for each in zip(*told, strict=True)] == [1] * 500


def test_what_can_no_longer_come_is_forgotten(tmp_path):
    """An hour of proofs: files and memory of the last minutes."""
    mine = Proofs(tmp_path / "p")
    for minute in range(60):
        at_s = NOW_S + 60 * minute
        given = proof(at_s)
        assert mine.first(given, at_s)
        assert not mine.first(given, at_s + 59)
    assert len(list((tmp_path / "p").iterdir())) <= 5
    assert len(mine._pages) <= 5


def test_more_than_can_be_remembered_is_not_taken(monkeypatch):
    """Rather nobody than anybody twice."""
    monkeypatch.setattr(room, "SEEN_MOST", 2)
    mine = Proofs()
    assert [mine.first(proof(), NOW_S) for _ in range(2)] == [True, True]
    with pytest.raises(Forgetful):
        mine.first(proof(), NOW_S)


async def test_two_gateways_agree_in_redis(redis_url):
    """Many at once; each by one of them."""
    pair = [Proofs(store=Store(redis_url)) for _ in range(2)]
    given = [proof() for _ in range(200)]
    # One by one at first: a connection that is not there yet takes longer than a request waits.
    while True:
        try:
            await asyncio.gather(*(each.first_anywhere(proof()) for each in pair))
            break
        except Forgetful:
            await asyncio.sleep(0.05)
    for few in (given[at : at + 20] for at in range(0, 200, 20)):
        asked = [each.first_anywhere(one) for one in few for each in pair]
        told = await asyncio.gather(*asked)
        assert [a + b for a, b in zip(told[::2], told[1::2], strict=True)] == [1] * 20
    for each in pair:
        await each.aclose()


@pytest.fixture
def own_server(tmp_path):
    """A real Valkey that may be stopped: its process and its address."""
    port = launch.free_port()
    words = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path), "--save", "")
    with subprocess.Popen([valkey.program(), *words], stdout=subprocess.DEVNULL) as process:
        yield process, f"redis://127.0.0.1:{port}/0"
        process.kill()


async def test_without_redis_nobody_or_as_this_gateway_knows(own_server):
    """Stopped in the middle: no request waits for long, closed by default, local where said."""
    process, url = own_server
    closed, local = Proofs(store=Store(url)), Proofs(store=Store(url), local=True)
    async with asyncio.timeout(20):
        while not await _taken(closed):
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(Forgetful):
            await closed.first_anywhere(proof())
        assert await local.first_anywhere(proof())
        assert loop.time() - began_s < 0.3
        process.send_signal(signal.SIGCONT)
        while not await _taken(closed):
            await asyncio.sleep(0.02)
    for each in (closed, local):
        await each.aclose()


async def _taken(mine: Proofs) -> bool:
    try:
        return await mine.first_anywhere(proof())
    except Forgetful:
        return False
