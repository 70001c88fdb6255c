"""What the document store of a simulated vendor promises."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.store import STALE_S, DocumentStore
from system_apis.simulator import Row, Taken

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


class Ticking:
    """A clock one second further at each look."""

    def __init__(self):
        self.at = START

    def __call__(self):
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def clock():
    return Ticking()


@pytest.fixture
def store(tmp_path, clock):
    store = DocumentStore(tmp_path / "x" / "v.sqlite", clock)
    yield store
    store.close()


def ids(docs):
    return [doc["_id"] for doc in docs]


def test_a_document_comes_back_with_its_version_and_instants(store):
    """A put returns what a get returns; a second put is version 2 and keeps the creation."""
    first = store.put("a", "1", {"name": "x"})
    again = store.put("a", "1", first | {"name": "y"})
    expected = {
        "name": "y", "_id": "1", "_version": 2,
        "_created_at": "2026-01-05T08:00:01.000000+00:00",
        "_updated_at": "2026-01-05T08:00:02.000000+00:00",
    }  # fmt: skip
    assert expected == again == store.get("a", "1")


def test_a_unique_key_has_one_holder_until_it_is_deleted(store):
    """Taken names the holder; after a delete the key is free."""
    store.put("a", "1", {}, unique="k")
    with pytest.raises(Taken) as taken:
        store.put("a", "2", {}, unique="k")
    assert taken.value.holder == "1"
    assert store.delete("a", "1")
    assert not store.delete("a", "1")
    store.put("a", "2", {}, unique="k")
    assert store.by_unique("a", "k")["_id"] == "2"


def test_everything_survives_a_restart(tmp_path, clock):
    """Documents and sequences are in the file."""
    first = DocumentStore(tmp_path / "v.sqlite", clock)
    first.put("a", str(first.next_id("a")), {"n": 1}, unique="u")
    first.close()
    second = DocumentStore(tmp_path / "v.sqlite", clock)
    assert second.by_unique("a", "u")["n"] == 1
    assert second.next_id("a") == 2
    second.close()


def test_keyset_pages_meet_every_document_once(store):
    """Documents of one instant are told apart by id, and ids of digits sort as numbers."""
    at = START.isoformat(timespec="microseconds")
    store.bulk_put("a", [Row(str(n), {}, updated_at=at) for n in range(1, 26)])
    seen, since, after = [], at, "0"
    while page := store.list("a", updated_since=since, after_id=after, limit=10):
        seen += ids(page)
        since, after = page[-1]["_updated_at"], page[-1]["_id"]
    assert seen == [str(n) for n in range(1, 26)]
    assert store.next_id("a") == 26


def test_where_compares_nested_fields_and_lists(store):
    """Equality, absence, membership and operators; an index changes nothing but speed."""
    store.index("a", "e.id")
    store.put("a", "1", {"e": {"id": "7"}, "day": "2026-01-01", "on": True})
    store.put("a", "2", {"e": {"id": "8"}, "day": "2026-02-01", "on": False})
    store.put("a", "3", {"e": None, "day": "2026-03-01"})
    assert ids(store.list("a", where={"e.id": "7"})) == ["1"]
    assert ids(store.list("a", where={"e.id": None})) == ["3"]
    assert ids(store.list("a", where={"e.id": ["7", "8"]}, order="-id")) == ["2", "1"]
    assert ids(store.list("a", where={"day >=": "2026-02-01", "day <": "2026-03-01"})) == ["2"]
    assert store.count("a", {"on": True}) == 1
    with pytest.raises(ValueError, match="not a field"):
        store.list("a", where={"x') OR 1=1 --": 1})


def test_a_transaction_is_all_or_nothing(store):
    """What fails in the middle leaves no trace."""

    def half():
        with store.transaction():
            store.put("a", "1", {})
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        half()
    assert store.get("a", "1") is None


def test_an_inner_transaction_can_fail_alone(store):
    """What fails inside takes its sequence numbers back; the outer one goes on."""

    def refused():
        with store.transaction():
            store.put("a", "2", {})
            assert store.next_id("a") == 1
            raise RuntimeError("refused")

    with store.transaction():
        store.put("a", "1", {})
        with pytest.raises(RuntimeError):
            refused()
    assert ids(store.list("a")) == ["1"]
    assert store.next_id("a") == 1


def test_a_stale_search_misses_what_is_young_but_get_does_not(store):
    """The lag hides young documents from list and count only."""
    store.put("a", "1", {}, unique="k")
    token = STALE_S.set(60)
    try:
        assert store.list("a") == []
        assert store.count("a") == 0
        assert store.get("a", "1")
        assert store.by_unique("a", "k")
    finally:
        STALE_S.reset(token)
    assert ids(store.list("a")) == ["1"]
