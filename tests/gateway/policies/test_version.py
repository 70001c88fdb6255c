"""Which version a request is in, and how one ends: announced, rehearsed, over; clock fixed."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import http_sf
import msgspec
import pytest

from chassis import versions
from contracts.change import FIRST
from contracts.problem import Fault
from gateway import lifecycle
from gateway.lifecycle import Brownout, Life
from gateway.policies.version import POLICY, Config
from gateway.policy import Caller, Exchange, Tools
from gateway.routes import Route
from gateway.snapshot import Plan

HEAD = versions.head()
OLD = FIRST
NOW_S = int(datetime(2027, 1, 15, 12, tzinfo=UTC).timestamp())
DAY_S = 86_400
LINK = "https://firm.example/moving"


class Clock:
    now_s = NOW_S


def bound(*lives, prefix="/process/v1", config=None):
    """The policy on a route, with a clock that stands still until told."""
    clock, memory = Clock(), {}
    policies = {"authenticate": {}, "authorise": {"scope": "process"}}
    tools = Tools(
        route=Route("r", prefix, "process", policies),
        monotonic=lambda: 0.0, unix=lambda: clock.now_s,
        memory=lambda name: memory.setdefault(name, {}),
        callers={}, hashers=(), log=None, versions=lives,
    )  # fmt: skip
    return POLICY.bind(config or Config(), tools), clock, memory


def asked(policy, told=None, pin=b""):
    x = Exchange(None, "127.0.0.1", 0.0)
    if told is not None:
        x.known[b"firmwire-version"] = told
    x.caller = Caller.__new__(Caller)
    x.caller.version_pin = pin
    return x, policy.on_request(x)


def values(x, name):
    pairs = (line.partition(b": ") for line in x.down_lines.split(b"\r\n"))
    return [value.decode() for found, _, value in pairs if found == name]


def test_header_before_pin_before_head():
    """What a request says, else what its key or plan is pinned to, else the newest."""
    policy, _, memory = bound()
    for told, pin, version in (
        (b"2026-11-08", b"2026-11-15", "2026-11-08"),
        (None, b"2026-11-15", "2026-11-15"),
        (None, b"", HEAD),
    ):
        x, refusal = asked(policy, told, pin)
        assert refusal is None
        assert x.version.decode() == version
        assert values(x, b"firmwire-version") == [version]
        assert values(x, b"vary") == ["firmwire-version"]
    asked_for = {version: number for version, (number,) in memory["versions"].items() if number}
    assert asked_for == {b"2026-11-08": 1, b"2026-11-15": 1, HEAD.encode(): 1}


def test_a_stranger_is_at_head():
    """A public route has no caller."""
    policy, _, _ = bound()
    x = Exchange(None, "127.0.0.1", 0.0)
    assert policy.on_request(x) is None
    assert x.version.decode() == HEAD


@pytest.mark.parametrize(
    "told",
    [b"", b"v1", b"latest", b"2026-11-1", b"2026-11-02", b" 2026-11-01", b'"2026-11-01"',
     b"2026-11-01, 2026-11-22", b"\xff"],
)  # fmt: skip
def test_an_unknown_version_is_told_which_there_are(told):
    """400; nothing is guessed, nothing is trimmed; none of the words are what was sent."""
    policy, _, _ = bound()
    x, refusal = asked(policy, told)
    assert refusal.fault.status == 400
    assert refusal.errors[0].pointer == "Firmwire-Version"
    assert all(version in refusal.say for version in versions.versions())
    assert x.version == b""


def test_announced():
    """Every reply of the version says so, in headers that others can read."""
    life = Life(OLD, NOW_S + 10 * DAY_S, NOW_S + 100 * DAY_S, LINK)
    policy, _, _ = bound(life)
    x, refusal = asked(policy, OLD.encode())
    assert refusal is None
    (deprecation,) = values(x, b"deprecation")
    (sunset,) = values(x, b"sunset")
    at, _ = http_sf.parse(deprecation.encode(), tltype="item")
    assert at == datetime.fromtimestamp(life.deprecated_s, UTC)
    assert parsedate_to_datetime(sunset) == datetime.fromtimestamp(life.sunset_s, UTC)
    assert sunset.endswith(" GMT")
    assert values(x, b"link") == [
        f'<{LINK}>; rel="deprecation"; type="text/html", '
        f'<{LINK}>; rel="sunset"; type="text/html", '
        f'</openapi/process/{HEAD}.json>; rel="successor-version"'
    ]
    x, _ = asked(policy, HEAD.encode())
    names = {line.partition(b": ")[0] for line in x.down_lines.split(b"\r\n")[:-1]}
    assert names == {b"firmwire-version", b"vary"}


def test_deprecated_without_an_end():
    """No sunset is invented."""
    policy, _, _ = bound(Life(OLD, NOW_S, 0, LINK))
    x, refusal = asked(policy, OLD.encode())
    assert refusal is None
    assert (values(x, b"sunset"), len(values(x, b"deprecation"))) == ([], 1)
    assert 'rel="sunset"' not in values(x, b"link")[0]


def test_brownouts_come_and_go():
    """With a type of their own, so that nobody takes them for a limit; to the second."""
    life = Life(
        OLD, NOW_S - DAY_S, NOW_S + 90 * DAY_S, LINK,
        (Brownout(NOW_S, NOW_S + 600), Brownout(NOW_S + DAY_S, NOW_S + DAY_S + 600)),
    )  # fmt: skip
    policy, clock, _ = bound(life)
    for now_s, off in (
        (NOW_S - 1, False), (NOW_S, True), (NOW_S + 599, True), (NOW_S + 600, False),
        (NOW_S + DAY_S, True), (NOW_S + DAY_S + 600, False),
    ):  # fmt: skip
        clock.now_s = now_s
        x, refusal = asked(policy, OLD.encode())
        assert (refusal is not None) is off
        assert asked(policy, HEAD.encode())[1] is None
        if refusal is not None:
            assert refusal.fault is Fault.VERSION_BROWNOUT
            assert (refusal.fault.status, refusal.retry_after_s) == (503, None)
            assert LINK in refusal.say
            assert values(x, b"sunset")


def test_after_the_end():
    """410 with where to read on; also for a pin, and not in the list of what there is."""
    life = Life(OLD, NOW_S - 100 * DAY_S, NOW_S, LINK)
    policy, clock, _ = bound(life)
    clock.now_s = NOW_S - 1
    x, refusal = asked(policy, OLD.encode())
    assert refusal is None
    assert policy.still(x)
    clock.now_s = NOW_S
    assert not policy.still(x)
    for told, pin in ((OLD.encode(), b""), (None, OLD.encode())):
        x, refusal = asked(policy, told, pin)
        assert (refusal.fault, refusal.fault.status) == (Fault.GONE, 410)
        assert LINK in refusal.say
        assert HEAD in refusal.say
        assert 'rel="sunset"' in values(x, b"link")[0]
    _, refusal = asked(policy, b"2020-01-01")
    assert OLD not in refusal.say
    assert asked(policy, HEAD.encode())[1] is None


def test_the_successor_is_one_that_lives_on():
    """Not the next version, when that ends too."""
    dying = Life("2026-11-08", NOW_S, 0, LINK)
    known = versions.versions()
    assert lifecycle.successor_of(FIRST, known, (dying,)) == HEAD
    assert lifecycle.successor_of(HEAD, known, ()) == HEAD


@pytest.mark.parametrize(
    ("life", "why"),
    [
        (Life(OLD, 0, NOW_S, LINK), "no deprecation"),
        (Life(OLD, NOW_S, NOW_S - 1, LINK), "before it is deprecated"),
        (Life(OLD, NOW_S, 0, ""), "says nowhere"),
        (Life(OLD, 0, 0, "", (Brownout(1, 2),)), "brownouts follow"),
        (Life(OLD, NOW_S, 0, LINK, (Brownout(NOW_S - 1, NOW_S + 1),)), "brownouts follow"),
        (Life(OLD, 5, 0, LINK, (Brownout(10, 10),)), "brownouts follow"),
        (Life(OLD, 5, 0, LINK, (Brownout(10, 20), Brownout(15, 25))), "brownouts follow"),
        (Life(OLD, 5, 20, LINK, (Brownout(10, 21),)), "after its sunset"),
    ],
)
def test_what_does_not_fit_together(life, why):
    """RFC 8594: the sunset is not before the deprecation; and so on."""
    with pytest.raises(ValueError, match=why):
        lifecycle.check(life)


@pytest.mark.parametrize(
    ("prefix", "config", "dated"),
    [
        ("/process/v1", {}, True),
        ("/process/v1/invoices", {}, True),
        ("/experience/v1", {}, True),
        ("/partner/v1", {}, False),
        ("/process/v2", {}, False),
        ("/partner/v1", {"dated": True}, True),
        ("/process/v1", {"dated": False}, False),
    ],
)
def test_which_routes_are_dated(prefix, config, dated):
    """Every route to a tier, whether or not it names the policy: no alias without an end."""
    policy, _, _ = bound(prefix=prefix, config=msgspec.convert(config, Config))
    assert hasattr(policy, "on_request") is dated


# On a socket, through the whole pipe.


@pytest.fixture
def dated(gate):
    """The route is the process tier's, and so is the plan."""
    gate.plan = Plan("gold", ("process:*",))
    gate.route = {"prefix": "/process/v1", "policies": {
        "authenticate": {}, "authorise": {"scope": "process"}}}  # fmt: skip
    gate.key_rows = (gate.row(gate.key, scopes=()),)
    gate.publish()
    return gate


PATH = "/process/v1/invoices"


async def test_400_header_and_path_cannot_disagree(dated, upstream):
    """One header, a date that there is; the path's v1 says nothing of shapes; no v2 is routed."""
    assert (await dated.ask("GET", PATH, Firmwire_Version="v2")).status == 400
    assert (await dated.ask("GET", "/process/v2/invoices", Firmwire_Version=OLD)).status == 404
    assert (await dated.ask("GET", f"/process/{OLD}/invoices")).status == 404
    sent = dated.request("GET", PATH, Firmwire_Version=OLD, firmwire_version=HEAD)
    assert b"HTTP/1.1 400 " in (await dated.raw(sent, wait_s=2))[:20]
    assert upstream.seen == []


async def test_the_tier_is_not_told_the_callers_version(dated, upstream):
    """It speaks head only; the caller is told what it got."""
    reply = await dated.ask("GET", PATH, Firmwire_Version=OLD)
    assert (reply.status, reply.headers["firmwire-version"]) == (200, OLD)
    assert upstream.seen[0].header("firmwire-version") == []


async def test_a_plan_gives_the_version_of_keys_without_a_pin(dated, upstream):
    """A key's own pin comes first."""
    dated.plan = msgspec.structs.replace(dated.plan, version_default="2026-11-08")
    dated.publish()
    assert (await dated.ask("GET", PATH)).headers["firmwire-version"] == "2026-11-08"
    dated.key_rows = (dated.row(dated.key, scopes=(), version_pin="2026-11-15"),)
    dated.publish()
    assert (await dated.ask("GET", PATH)).headers["firmwire-version"] == "2026-11-15"
    told = await dated.ask("GET", PATH, Firmwire_Version=HEAD)
    assert told.headers["firmwire-version"] == HEAD


async def test_410_and_503_are_problem_documents(dated, upstream):
    """With the way out in their headers; nothing reaches the tier."""
    unix_s = int(dated.worker.unix())
    for life, status, code in (
        (Life(OLD, unix_s - 100, unix_s - 10, LINK), 410, "gone"),
        (Life(OLD, unix_s - 100, 0, LINK, (Brownout(unix_s - 50, unix_s + 500),)), 503,
         "version_brownout"),
    ):  # fmt: skip
        dated.more = {"versions": (life,)}
        dated.publish()
        reply = await dated.ask("GET", PATH, Firmwire_Version=OLD)
        assert (reply.status, reply.problem) == (status, code)
        assert reply.headers["deprecation"].startswith("@")
        assert "retry-after" not in reply.headers
        assert (await dated.ask("GET", PATH)).status == 200
    assert len(upstream.seen) == 2


async def test_the_metric_tells_versions_apart(dated):
    """What an operator's alert on an ending version is made of."""
    await dated.ask("GET", PATH, Firmwire_Version=OLD)
    await dated.ask("GET", PATH)
    text = dated.worker.metrics().decode()
    assert f'firmwire_gateway_version_requests_total{{version="{OLD}"}} 1\n' in text
    assert f'firmwire_gateway_version_requests_total{{version="{HEAD}"}} 1\n' in text
