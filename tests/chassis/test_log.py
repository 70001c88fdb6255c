"""The log tells the story and keeps the secrets."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from chassis import log as logs
from chassis import travel
from contracts.principal import Principal


class Card(Struct):
    holder: str
    api_key: str


@pytest.fixture
def written():
    stream = io.StringIO()
    logs.configure("test", stream=stream, level="debug")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.configure("test", stream=io.StringIO())


def test_a_line_says_who_when_and_for_whom(written, fixed):
    """Ids and caller come along without being passed."""
    principal = Principal("acme", frozenset(), "gateway")
    with travel.using(travel.begin(correlation_id="c-1", principal=principal)) as now:
        logs.log("room").info("order.placed", count=2)
    assert written() == [
        {
            "at": "2026-11-02T08:00:00.000+00:00", "level": "info", "event": "order.placed",
            "room": "room", "count": 2, "service": "test", "request_id": now.request_id,
            "correlation_id": "c-1", "trace_id": now.trace.trace_id, "caller": "acme",
        }
    ]  # fmt: skip


def test_levels_below_the_threshold_are_silent():
    """debug is for debugging."""
    stream = io.StringIO()
    logs.configure("test", stream=stream, level="warning")
    log = logs.log("room")
    log.debug("a.b")
    log.info("a.b")
    log.warning("a.b")
    log.error("a.b")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == [
        "warning",
        "error",
    ]


def test_exceptions_are_written_without_their_secrets(written):
    """A traceback with a token in its message is still a log line."""
    try:
        raise RuntimeError("Authorization: Bearer abcdefghijklmnop")
    except RuntimeError:
        logs.log("room").exception("call.failed")
    (line,) = written()
    assert "RuntimeError" in line["exception"]
    assert "abcdefghijklmnop" not in line["exception"]


def test_libraries_speak_in_the_same_form(written):
    """The standard library's logging ends in the same stream."""
    logging.getLogger("some.library").warning("lost %s", "it")
    (line,) = written()
    assert (line["event"], line["room"], line["message"]) == (
        "library.said",
        "some.library",
        "lost it",
    )


def test_the_console_form_is_for_eyes():
    """No JSON."""
    stream = io.StringIO()
    logs.configure("test", form="console", stream=stream)
    logs.log("room").info("order.placed", count=2)
    assert "order.placed" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "Authorization", "proxy-authorization", "cookie", "set-cookie", "password",
        "db_password", "client_secret", "token", "access_token", "api_key", "apikey", "X-Api-Key",
        "private_key", "assertion", "Firmwire-Identity", "pepper", "oauth_signature",
    ],
)  # fmt: skip
def test_secret_names_hide_their_values(name):
    """At any depth, in dicts, lists, structs."""
    assert logs.redact({"a": [{name: "hunter2"}]}) == {"a": [{name: "***"}]}


@pytest.mark.parametrize("name", ["idempotency_key", "key", "tokens_left", "author", "secretary"])
def test_names_that_only_sound_secret_stay(name):
    """A log without idempotency keys would be of no use."""
    assert logs.redact({name: "visible"}) == {name: "visible"}


@pytest.mark.parametrize(
    "text",
    [
        "Bearer hunter2hunter2", "basic aHVudGVyMjp4eHh4",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "postgresql://user:hunter2@db/f", "fw_live_hunter2hunter2",
        "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_secret_text_is_hidden_wherever_it_stands(text):
    """Also inside bytes and longer text."""
    for given_as in (f"said {text} here", f"said {text} here".encode()):
        assert "hunter2" not in logs.redact(given_as)
        assert "***" in logs.redact(given_as)


def test_structs_and_strangers_become_plain_data():
    """Anything can be logged."""
    assert logs.redact(Card("me", "hunter2")) == {"holder": "me", "api_key": "***"}
    assert logs.redact(ValueError("x")) == "x"
    assert logs.redact({"n": None, "b": True, "token": None}) == {
        "n": None, "b": True, "token": None,
    }  # fmt: skip


@given(st.recursive(st.text(max_size=20) | st.integers() | st.none(),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=8), inner, max_size=3)))  # fmt: skip
def test_redacting_twice_changes_nothing_more(value):
    """What is redacted is stable."""
    once = logs.redact(value)
    assert once == logs.redact(once)
