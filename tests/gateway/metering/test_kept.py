"""What was used of a quota, in a file: as much as was used, as long as its period lasts."""

import shutil
from datetime import UTC, datetime

import pytest

from chassis import clock
from gateway.metering.kept import Kept, share_out
from gateway.metering.limit import Limit
from gateway.metering.meters import Meters
from gateway.policy import Share

DAY = Limit(name="day", kind="quota", amount=100, period="day")
WHO = {"consumer": "acme", "key": "k", "route": "r", "address": "a", "plan": "p"}


class Life:
    """Of one worker."""

    def __init__(self, folder, index=0, count=1) -> None:
        self.meters = Meters(clock.monotonic, lambda: clock.now().timestamp(), count)
        self.kept = Kept(self.meters, folder, Share(index, count))
        self.kept.begin()

    async def end(self):
        self.kept.end()
        await self.kept.run()

    def use(self, number, limit=DAY, **who):
        (gauge,) = self.meters.bind((limit,), ("plan", "p"), WHO | who)
        taken = 0
        for _ in range(number):
            if not gauge.wait(1, self.meters.now_ns()):
                gauge.take(1, self.meters.now_ns())
                taken += 1
        return taken


@pytest.fixture
def now():
    with clock.using(clock.Fixed(datetime(2026, 5, 5, 12, tzinfo=UTC))) as fixed:
        yield fixed


async def test_a_life_goes_on_where_the_one_before_ended(tmp_path, now):
    """Also of somebody nobody asked for in between; until the period is over."""
    one = Life(tmp_path / "q")
    assert (one.use(70), one.use(10, consumer="idle")) == (70, 10)
    await one.end()
    two = Life(tmp_path / "q")
    assert two.use(70) == 30
    await two.end()
    three = Life(tmp_path / "q")
    assert (three.use(1), three.use(100, consumer="idle")) == (0, 90)
    now.move(86_400)
    assert Life(tmp_path / "q").use(200) == 100


@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 4), (1, 3), (3, 1)])
async def test_another_number_of_workers_shares_what_was_used(tmp_path, now, before, after):
    """Never more than the quota in all, whoever used how much."""
    folder = tmp_path / "q"
    lives = [Life(folder, at, before) for at in range(before)]
    used = sum(life.use(7 * at + 3) for at, life in enumerate(lives))
    for life in lives:
        await life.end()
    share_out(folder, after)
    more = sum(Life(folder, at, after).use(100) for at in range(after))
    assert 100 - 2 * after <= used + more <= 100
    share_out(folder, after)
    assert [one.name for one in folder.iterdir()] == [str(after)]


async def test_what_cannot_be_read_or_written_stops_nobody(tmp_path, now):
    """A torn file, a folder that is none."""
    folder = tmp_path / "q"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "0").write_bytes(b"\xff torn")
    life = Life(folder)
    assert life.use(10) == 10
    shutil.rmtree(folder)
    folder.write_text("in the way")
    await life.end()
    assert life.use(1) == 1
