"""A collection that comes whole, told as a feed."""

from datetime import UTC, datetime, timedelta

from chassis import clock
from system_apis.sweep import Row, Sweeps

AT = datetime(2026, 1, 5, tzinfo=UTC)


async def test_what_vanished_is_told_once_and_what_stayed_is_quiet():
    rows = [Row(str(n), AT, {"n": n}) for n in range(5)]
    reads = []

    async def read():
        reads.append(1)
        return list(rows)

    sweeps, cursor, seen = Sweeps(timedelta(0)), None, []
    while True:
        given = await sweeps.page("x", read, cursor, 2)
        seen += [row.id for row in given.rows]
        cursor = given.cursor
        if not given.more:
            break
    assert (seen, len(reads)) == (["0", "1", "2", "3", "4"], 1)
    assert (await sweeps.page("x", read, cursor, 2)).rows == ()
    gone = rows.pop()
    given = await sweeps.page("x", read, cursor, 9)
    assert given.gone == (gone,)
    assert (await sweeps.page("x", read, given.cursor, 9)).gone == ()


async def test_a_row_without_a_stamp_is_told_again_when_anything_changed():
    rows = [Row("1", None, {"v": 1}), Row("2", AT, {"v": 1})]

    async def read():
        return list(rows)

    with clock.using(clock.Fixed(AT)):
        sweeps = Sweeps(timedelta(0))
        first = await sweeps.page("x", read, None, 9)
        rows[0] = Row("1", None, {"v": 2})
        second = await sweeps.page("x", read, first.cursor, 9)
    assert rows[0] in second.rows
