"""Ids made many at a time are ids like any other."""

from datetime import UTC, datetime
from uuid import UUID

from process_apis import bulk

AT = datetime(2026, 5, 1, 9, tzinfo=UTC)


def test_ids_are_different_ordered_and_of_version_7() -> None:
    """Two turns in one millisecond share none; the rows of a turn sort as they were written."""
    one, other = bulk.ids(AT, 2_000), bulk.ids(AT, 2_000)
    assert len({*one, *other}) == 4_000
    assert one == sorted(one)
    assert {(UUID(id).version, UUID(id).variant) for id in one} == {
        (7, "specified in RFC 4122"),
    }
    assert bulk.ids(AT, 0) == []
