"""Bodies are walked as bytes: what has the form is turned, what has not is left or refused."""

import msgspec
import pytest

from chassis import versions
from chassis.versions import Walk
from contracts.change import FIRST
from contracts.problem import Problem
from gateway.policy import Exchange, Reply
from gateway.translation import Finder, Translation, finder

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")


def renamed(old, new):
    return lambda body: {(new if name == old else name): value for name, value in body.items()}


@pytest.fixture
def exchange():
    def of(content_type=b"application/json"):
        x = Exchange(None, "127.0.0.1", 0.0)
        if content_type:
            x.forward = b"content-type: %b\r\n" % content_type
        return x

    return of


@pytest.fixture
def turned():
    return Translation(
        "2026-11-01",
        Walk(
            up=(renamed("old", "middle"), renamed("middle", "new")),
            down=(renamed("new", "middle"), renamed("middle", "old")),
            pointers=({"/new": "/middle"}, {"/middle": "/old"}),
        ),
    )


def test_a_request_is_walked_up(turned, exchange):
    """Oldest change first; numbers, texts and order stay."""
    body = b'{"old":1.0,"big":123456789012345678901234567890,"text":"\xc3\xa9"}'
    assert turned.request(exchange(), body) == body.replace(b'"old"', b'"new"')


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_goes_on(turned, exchange, body):
    """The tier says what is wrong with it, as it does at head."""
    assert turned.request(exchange(), body) == body


def test_another_kind_of_body_goes_on(turned, exchange):
    """It is the tier that says which kinds it takes."""
    assert turned.request(exchange(b"text/csv"), b'{"old":1}') == b'{"old":1}'
    assert turned.request(exchange(b""), b'{"old":1}') == b'{"new":1}'


def test_a_body_of_another_form_is_refused(exchange):
    """A turn that breaks on it is no error of ours."""
    turned = Translation("2026-11-01", Walk(up=(lambda body: body["a"]["b"],)))
    for body in (b"{}", b"7", b"null", b'{"a":[]}'):
        made = turned.request(exchange(), body)
        assert isinstance(made, Problem)
        assert (made.fault.status, "2026-11-01" in made.say) == (422, True)


def test_a_reply_is_walked_down(turned, exchange):
    """Newest change first; a validator is of the meaning now, a digest of other bytes goes."""
    headers = [JSON, (b"etag", b'"abc"'), (b"content-digest", b"sha-256=:x:"), (b"x-more", b"1")]
    made = turned.reply(exchange(), Reply(200, headers, b'{"new":[1]}'))
    assert made == Reply(200, [JSON, (b"etag", b'W/"abc"'), (b"x-more", b"1")], b'{"old":[1]}')
    again = turned.reply(exchange(), Reply(304, [(b"etag", b'W/"abc"')], b""))
    assert again == Reply(304, [(b"etag", b'W/"abc"')], b"")


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, b"text/event-stream", b'data: {"new":1}\n\n'),
        (200, b"text/html", b"<p>new</p>"),
        (404, b"application/json", b'{"new":1}'),
    ],
)
def test_other_replies_are_left(turned, exchange, status, kind, body):
    """Only a success in JSON has the form a change knows."""
    given = Reply(status, [(b"content-type", kind), (b"etag", b'"a"')], body)
    assert turned.reply(exchange(), given) == given


def test_a_problem_points_into_what_the_caller_sent(turned, exchange):
    """Fields of the request have their old names; everything else of the document stays."""
    document = {
        "type": "urn:firmwire:problem:invalid", "status": 422, "code": "invalid",
        "errors": [{"pointer": "/new", "reason": "is wrong"}, {"pointer": "/new/0/x"},
                   {"pointer": "/newer"}, {"pointer": ""}],
    }  # fmt: skip
    made = turned.reply(exchange(), Reply(422, [PROBLEM], msgspec.json.encode(document)))
    told = msgspec.json.decode(made.body)
    assert [error["pointer"] for error in told["errors"]] == ["/old", "/old/0/x", "/newer", ""]
    assert {**told, "errors": None} == {**document, "errors": None}


def test_which_replies_are_held(turned):
    """The head decides: a stream is never collected."""
    assert turned.wants(200, [JSON], b"7")
    assert turned.wants(422, [PROBLEM], b"7")
    assert turned.wants(304, [], None)
    assert not turned.wants(200, [(b"content-type", b"text/event-stream")], None)


WALK = Walk(up=(lambda body: body,))
FOUND = Finder(
    "2026-11-01",
    {"GET /process/v1/things/{id}": WALK, "POST /process/v1/things/{id}/end": WALK},
    frozenset({
        "GET /process/v1/things/{id}", "GET /process/v1/things/progress",
        "POST /process/v1/things/{id}/end",
    }),
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "there"),
    [
        (b"GET", b"/process/v1/things/7", True),
        (b"HEAD", b"/process/v1/things/7", True),
        (b"GET", b"/process/v1/things/7/", True),
        (b"GET", b"/process/v1/thin%67s/7", True),
        (b"GET", b"/process/v1/things/progress", False),
        (b"GET", b"/process/v1/things", False),
        (b"GET", b"/process/v1/things/7/8", False),
        (b"GET", b"/system/v1/things/7", False),
        (b"POST", b"/process/v1/things/7", False),
        (b"POST", b"/process/v1/things/7/end", True),
        (b"POST", b"/process/v1/things/7/e%6Ed", True),
        (b"DELETE", b"/process/v1/things/7", False),
    ],
)
def test_an_operation_is_found_as_the_tier_finds_it(method, path, there):
    """Escapes and a slash at the end are no way around; a plain path goes before a template."""
    assert (FOUND.find(method, path) is not None) is there


def test_nothing_is_to_be_found_at_head():
    """And in every older version there is something."""
    assert finder(versions.head()) is None
    assert finder(FIRST) is not None
