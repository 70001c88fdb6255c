"""Codes and refresh tokens under contention, on both databases, and what is forgotten in time."""

import asyncio

import pytest
from sqlalchemy import func, insert, select

from chassis import clock
from chassis.database import Database, url_of
from gateway.control import store as control
from gateway.control.shapes import ConsumerDraft, PlanDraft
from gateway.identity import grants, signing
from gateway.identity.tables import client, code, grant, person, refresh_token, revoked_token
from gateway.keys import Peppers


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    url = url_of(tmp_path, "gateway")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    found = Database(url, name="gateway", durable=False)
    found.migrate("gateway.control.migrations")
    await found.write(_people)
    yield found
    await found.aclose()


def _people(connection) -> None:
    control.put_plan(connection, "gold", PlanDraft(scopes=("system:*",)), "test")
    control.put_consumer(connection, "acme", ConsumerDraft(plans=("gold",)), "test")
    connection.execute(insert(person).values(id="p1", name="kim", role="user", created_ms=0))
    connection.execute(
        insert(client).values(
            id="c1", consumer="acme", name="", method="none", keys=[], certificate="", grants=[],
            redirect_uris=[], scopes=[], bound="", created_ms=0,
        )
    )  # fmt: skip


def begin(connection) -> str:
    return grants.begin(
        connection, client="c1", person="p1", scopes=("system:read",), life_ms=86_400_000,
        redirect_uri="https://a/", challenge="x",
    )  # fmt: skip


async def test_of_many_at_once_one_uses_a_code_and_the_grant_ends(store):
    """Two browsers with one code, or a thief beside its owner: nobody keeps anything."""
    made = await store.write(begin)
    reused: list[int] = []
    told = lambda: reused.append(1)  # noqa: E731
    used = await asyncio.gather(
        *(store.write(lambda c: grants.use_code(c, made, "c1", told)) for _ in range(8))
    )
    held = [one for one in used if one is not None]
    assert (len(held), len(reused)) == (1, 7)
    assert held[0].grant in await store.read(lambda c: grants.revoked(c, 600_000))
    jti = f"{held[0].grant}.token"
    assert await store.read(lambda c: grants.is_revoked(c, jti))


async def test_of_many_at_once_one_uses_a_refresh_token(store):
    """The same for rotation; another client's hand does not count as a use."""
    made = await store.write(begin)
    held = await store.write(lambda c: grants.use_code(c, made, "c1", lambda: None))
    token = await store.write(lambda c: grants.new_refresh(c, held.grant, ""))
    assert await store.write(lambda c: grants.use_refresh(c, token, "c2", lambda: None)) is None
    used = await asyncio.gather(
        *(store.write(lambda c: grants.use_refresh(c, token, "c1", lambda: None)) for _ in range(8))
    )
    assert len([one for one in used if one is not None]) == 1
    assert await store.read(lambda c: grants.is_revoked(c, f"{held.grant}.t"))


async def test_an_assertion_is_seen_once(store):
    """Of many at once, too."""
    seen = await asyncio.gather(
        *(store.write(lambda c: grants.first_time(c, "c1", "j1", 2**50)) for _ in range(8))
    )
    assert seen.count(True) == 1


async def test_what_cannot_matter_any_more_is_forgotten(store, monkeypatch):
    """Expired revocations and ended grants go; the rest stays."""
    made = await store.write(begin)
    held = await store.write(lambda c: grants.use_code(c, made, "c1", lambda: None))
    await store.write(lambda c: grants.new_refresh(c, held.grant, ""))
    await store.write(lambda c: grants.revoke_token(c, "t1", 1))
    await store.write(lambda c: grants.revoke_token(c, "t2", 2**50))
    await store.write(lambda c: grants.revoke_token(c, "t2", 2**50))

    def left(connection) -> list[int]:
        tables = (grant, code, refresh_token, revoked_token)
        counts = (select(func.count()).select_from(table) for table in tables)
        return [connection.execute(one).scalar_one() for one in counts]

    await store.write(grants.sweep)
    assert await store.read(left) == [1, 1, 1, 1]
    assert await store.read(lambda c: grants.revoked(c, 600_000)) == ("t2",)
    later = clock.now().replace(year=clock.now().year + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    await store.write(grants.sweep)
    assert await store.read(left) == [0, 0, 0, 1]


async def test_a_signing_key_is_worth_nothing_without_its_pepper(store):
    """A copy of the database signs nothing; a rotation changes the key and keeps the old public."""
    peppers = Peppers("p1", {"p1": b"x" * 32})
    first = await store.write(lambda c: signing.current(c, peppers))
    again = await store.write(lambda c: signing.current(c, peppers))
    assert (first.kid, first.key.as_dict(private=True)) == (
        again.kid,
        again.key.as_dict(private=True),
    )
    rows = await store.read(lambda c: c.execute(select(signing.signing_key)).all())
    assert first.key.as_dict(private=True)["d"].encode() not in bytes(rows[0].sealed)
    for other in (Peppers("p2", {"p2": b"x" * 32}), Peppers("p1", {"p1": b"y" * 32})):
        with pytest.raises(ValueError, match="pepper"):
            await store.write(lambda c, other=other: signing.current(c, other))
    made = await store.write(lambda c: signing.rotate(c, peppers, actor="kim"))
    second = await store.write(lambda c: signing.current(c, peppers))
    assert second.kid == made.kid != first.kid
    listed = [key["kid"] for key in await store.read(signing.published)]
    assert set(listed) == {first.kid, second.kid}
    assert all("d" not in key for key in await store.read(signing.published))
