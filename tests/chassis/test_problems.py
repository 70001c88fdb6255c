"""Whatever goes wrong, the caller gets one document that says what to do and nothing internal."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from chassis import problems
from contracts.problem import Fault, FieldError, Problem


class Line(Struct, forbid_unknown_fields=True):
    minutes: Annotated[int, Meta(ge=0)]
    kind: Literal["a", "b"] = "a"


class Order(Struct, forbid_unknown_fields=True):
    lines: tuple[Line, ...]
    names: dict[str, int] = {}


class Rated(Struct, forbid_unknown_fields=True):
    lines: Annotated[list[Line], Meta(min_length=1)]


class Loose(Struct):
    n: int


def decoding(body, shape=Order):
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(body, type=shape)
    return problems.problem(caught.value)


@pytest.mark.parametrize(
    ("body", "pointer", "reason"),
    [
        (b'{"lines":[{"minutes":"x"}]}', "/lines/0/minutes", "Expected int, got str"),
        (b'{"lines":[{"minutes":-1}]}', "/lines/0/minutes", "Expected int >= 0"),
        (b'{"lines":[{}]}', "/lines/0/minutes", "is required"),
        (b'{"lines":[],"more":1}', "/more", "is not known"),
        (b'{"lines":[],"names":{"x":"y"}}', "/names", "Expected int, got str"),
        (b"[]", "", "Expected object, got array"),
    ],
)
def test_a_wrong_field_is_pointed_at(body, pointer, reason):
    """By JSON pointer, in our words."""
    found = decoding(body)
    assert found.fault is Fault.INVALID
    assert (found.errors[0].pointer, found.errors[0].reason) == (pointer, reason)
    assert found.errors[0].hint


def test_what_is_no_json_is_malformed():
    """400, not 422."""
    assert decoding(b"{").fault is Fault.MALFORMED


def test_all_wrong_fields_are_found_not_only_the_first():
    """The caller mends everything in one go."""
    raw = {"lines": [{"minutes": "x", "kind": "z"}, {}], "names": 3, "extra": 1, "a/b~": 1}
    found = {error.pointer: error.reason for error in problems.field_errors(raw, Order)}
    assert found == {
        "/lines/0/minutes": "Expected int, got str",
        "/lines/0/kind": "Invalid enum value 'z'",
        "/lines/1/minutes": "is required",
        "/names": "Expected object, got int",
        "/extra": "is not known",
        "/a~1b~0": "is not known",
    }


def test_field_errors_of_a_good_value_are_none():
    """And a fault of the list itself is told once."""
    assert problems.field_errors({"lines": []}, Order) == ()
    (error,) = problems.field_errors({"lines": []}, Rated)
    assert error.pointer == "/lines"
    assert problems.field_errors({"lines": [{"minutes": 1}, 7]}, Rated)[0].pointer == "/lines/1"
    assert problems.field_errors({"n": "x", "other": 1}, Loose)[0].pointer == "/n"


def test_field_errors_stop_at_twenty():
    """A batch of nonsense does not make a megabyte of reply."""
    raw = {"lines": [{} for _ in range(500)]}
    assert len(problems.field_errors(raw, Order)) == problems.ERRORS_MAX


def test_nothing_internal_gets_out():
    """An unexpected exception is INTERNAL, and only our log knows more."""
    found = problems.problem(RuntimeError("password=hunter2 at /srv/app.py"))
    status, headers, body = problems.reply(found, "req-1")
    assert status == 500
    assert headers["content-type"] == "application/problem+json"
    assert b"hunter2" not in body
    assert "hunter2" in found.because


def test_a_reply_carries_what_a_client_acts_on():
    """Type, code, retry and Retry-After in whole seconds, rounded up."""
    found = Problem(Fault.RATE_LIMITED, "Slow down.", retry_after_s=1.2)
    status, headers, body = problems.reply(found, "req-1")
    shown = msgspec.json.decode(body)
    assert (status, headers["retry-after"]) == (429, "2")
    assert shown["type"] == "urn:firmwire:problem:rate_limited"
    assert (shown["code"], shown["retry"], shown["retry_after_s"]) == ("rate_limited", "later", 2)
    assert (shown["instance"], shown["detail"]) == ("req-1", "Slow down.")


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_survives_a_hop(fault):
    """What one tier raises, its caller raises."""
    sent = Problem(fault, "Say.", retry_after_s=3.0, errors=(FieldError("/a", "b"),))
    status, headers, body = problems.reply(sent)
    got = problems.received(status, headers["content-type"], body)
    assert (got.fault, got.say, got.retry_after_s, got.errors) == (
        sent.fault, sent.say, sent.retry_after_s, sent.errors,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/html", b"<h1>"), ("application/problem+json", b"{"), ("", b"")],
)
def test_an_answer_that_is_no_document_is_ambiguous(content_type, body):
    """We do not know what happened there."""
    found = problems.received(500, content_type, body)
    assert found.fault is Fault.UPSTREAM_BROKEN
    assert found.ambiguous


@pytest.mark.parametrize(
    ("status", "fault"),
    [(404, Fault.NOT_FOUND), (413, Fault.TOO_LARGE), (418, Fault.MALFORMED), (599, Fault.INTERNAL)],
)
def test_a_bare_status_has_a_fault(status, fault):
    """What frameworks raise."""
    assert problems.of_status(status).fault is fault


def test_a_problem_is_itself_and_a_timeout_is_a_deadline():
    """The rest of the mapping."""
    mine = Problem(Fault.GONE, "Gone.")
    assert problems.problem(mine) is mine
    assert problems.problem(TimeoutError()).fault is Fault.DEADLINE_EXCEEDED
    two = problems.invalid(FieldError("/a", "x"), FieldError("/b", "y"))
    assert two.say == "/a: x (and 1 more)"
