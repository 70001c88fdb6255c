"""Ids are ordered by time, and document keys are the same whatever crashed in between."""

import uuid
from datetime import UTC, datetime, timedelta

from contracts.ids import Ref, digest, external_ref, uuid7

AT = datetime(2026, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)


def test_uuid7_is_one() -> None:
    """Version 7, variant of the RFC, milliseconds in front."""
    made = uuid.UUID(uuid7(AT))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(AT.timestamp() * 1000)


def test_uuid7_sorts_by_time_and_does_not_repeat() -> None:
    """Later is greater; a thousand of one instant differ."""
    assert uuid7(AT) < uuid7(AT + timedelta(milliseconds=1))
    assert len({uuid7(AT) for _ in range(1000)}) == 1000


def test_digest_reads_none_as_empty() -> None:
    """Joined by a bar, base32 without padding."""
    assert digest(["a", None]) == digest(["a", ""])
    assert digest(["a", "b"]) != digest(["ab"])
    assert "=" not in digest([])


def test_external_ref_is_short_enough_and_says_its_kind() -> None:
    """At most forty characters for the usual codes."""
    made = external_ref("acme", "LE-UK", "CN", ["x"])
    assert made.startswith("acme-LE-UK-CN-")
    assert len(made) <= 40


def test_a_reference_reads_as_system_and_id() -> None:
    """As used in canonical entry ids."""
    assert str(Ref("kantata", "17")) == "kantata:17"
