"""The short ways are the long way: memo on or off, plain or parsed, the same bytes go out."""

import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.dataplane import plain
from gateway.dataplane.downstream import Downstream
from gateway.dataplane.upstream import Upstream
from gateway.keys import mint

CHANGING = re.compile(
    rb"(?<=firmwire-request-id: )\w{32}|(?<=traceparent: )[\w-]{55}|(?<=firmwire-identity: )\S+"
    rb'|(?<="instance":")\w{32}|(?<=;r=)\d+;t=\d+|(?<=firmwire-deadline-ms: )\d+'
)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """Stands in for a transport, and writes down what happened to it, in order."""

    def __init__(self):
        self.out = b""
        self.ended = False

    def write(self, data):
        self.out += data

    def get_extra_info(self, name, default=None):
        return ("192.0.2.1", 1) if name == "peername" else default

    def is_closing(self):
        return self.ended

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.out += b"<eof>"

    def close(self):
        self.out += b"" if self.ended else b"<closed>"
        self.ended = True

    abort = close

    def pause_reading(self):
        pass

    resume_reading = pause_reading


class Forgetful(Downstream):
    """Judges every head anew."""

    __slots__ = ()

    def data_received(self, data):
        self._memo = None
        super().data_received(data)


class Line:
    """A caller's connection and the one behind it, without a loop in between."""

    def __init__(self, gate, kind):
        self.gate = gate
        self.wire = Wire()
        self.link = kind(gate.worker)
        self.link.connection_made(self.wire)
        self.behind = b""
        self.hits = 0

    def feed(self, data, replies=(OK,)):
        """Bytes of the caller; whatever goes on is answered, piece by piece."""
        pool = self.gate.worker._pools["system"]
        pool._idle.clear()
        upstreams = []
        for _ in range(8):
            connection = Upstream(pool, pool.instances[0])
            connection.connection_made(Wire())
            pool._idle.append(connection)
            upstreams.append(connection)
        if not self.wire.ended:
            self.link.data_received(data)
        outbox = self.gate.worker.outbox
        for _ in range(20):
            outbox.flush()
            running = [one for one in upstreams if one.x is not None and one.x.request_done]
            for connection in running:
                for piece in replies:
                    if connection.x is not None and not connection.transport.ended:
                        connection.data_received(piece)
        outbox.flush()
        self.behind += b"|".join(one.transport.out for one in upstreams)

    def seen(self):
        return CHANGING.sub(b"~", self.wire.out), CHANGING.sub(b"~", self.behind)


METHODS = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"DELETE", b"get", b"TRACE", b"CONNECT", b"M-SEARCH"]
)
TARGETS = st.one_of(
    st.sampled_from([
        b"/system/v1/a", b"/system/v1/a?b=c&d", b"/system/v1/%41", b"/system/v1/../a", b"/nowhere",
        b"/system/v1/a%2fb", b"//system/v1", b"*", b"http://a/system/v1/a", b"/system/v1/a#b",
        b"/system/v1/a?\xc3\xa4", b"/system/v1/ a", b"", b"/system/v1/a b HTTP/1.1\r\nX: y",
    ]),
    st.text("/abcAZ09.%?&=#;:\\ \t\x00\x7f~é", max_size=12).map(
        lambda tail: b"/system/v1/" + tail.encode("latin-1")
    ),
)  # fmt: skip
VERSIONS = st.sampled_from([b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b""])
BLOCKS = (
    b"Host: a\r\nX-Api-Key: KEY\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nAccept: */*\r\nFirmwire-Deadline-Ms: 900\r\n\r\n",
    b"host: a\r\nAuthorization: Bearer KEY\r\nX-A: b\r\nX-A: c\r\nConnection: keep-alive\r\n\r\n",
    b"Host: a\r\nX-Api-Key: wrong\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nConnection: close\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nConnection: x-a\r\nX-A: b\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nContent-Length: 0\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nContent-Length: 3\r\n\r\nabc",
    b"Host: a\r\nX-Api-Key: KEY\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nExpect: 100-continue\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\n",
    b"\r\n\r\n",
    b"Host: a\r\nX-Api-Key: KEY\r\nX-A: b\r\n c\r\n\r\n",
)
OFTEN = st.sampled_from([b"GET"] * 4 + [b"HEAD"])
PLAIN = st.sampled_from([b"/system/v1/a", b"/system/v1/a?b=c"])


def requests(block):
    """Mostly what a client sends again and again; now and then anything."""
    usual = st.tuples(OFTEN, PLAIN, st.just(b"HTTP/1.1"), st.just(block))
    other_version = st.tuples(OFTEN, PLAIN, VERSIONS, st.just(block))
    other_line = st.tuples(METHODS, TARGETS, VERSIONS, st.just(block))
    other_target = st.tuples(OFTEN, TARGETS, st.just(b"HTTP/1.1"), st.just(block))
    other_block = st.tuples(OFTEN, PLAIN, st.just(b"HTTP/1.1"), st.sampled_from(BLOCKS))
    return st.one_of(
        usual, usual, other_target, other_target, other_version, other_line, other_block
    )  # fmt: skip


def steps(block):
    one = requests(block)
    return st.lists(
        st.one_of(
            one, one, one, st.tuples(one, one), st.tuples(one, st.integers(1, 90)),
            st.sampled_from(["swap", b"\r\n", b"\r\n\r\n", b"G"]),
        ),
        min_size=2, max_size=6,
    )  # fmt: skip


STEPS = st.sampled_from(BLOCKS[:4] * 2 + BLOCKS).flatmap(steps)


def wire(request, key):
    method, target, version, block = request
    return b"%b %b %b\r\n%b" % (method, target, version, block.replace(b"KEY", key.encode()))


def pieces(step, key):
    """What one step puts on the wire: one request, two at once, or one in two parts."""
    if isinstance(step, bytes):
        return [step]
    first, second = step[0], step[1]
    if isinstance(second, int):
        whole = wire(first, key)
        return [whole[:second], whole[second:]] if second < len(whole) else [whole]
    if isinstance(second, tuple):
        return [wire(first, key) + wire(second, key)]
    return [wire(step, key)]


async def test_the_memo_changes_nothing_but_the_time_it_takes(gate):
    """Whatever comes down a line: the same bytes to the tier, the same bytes to the caller."""

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.explicit, Phase.reuse, Phase.generate])  # fmt: skip
    @given(STEPS)
    def same(steps):
        remembers, forgets = Line(gate, Downstream), Line(gate, Forgetful)
        for step in steps:
            if step == "swap":
                gate.publish()
                continue
            for piece in pieces(step, gate.key):
                for line in (remembers, forgets):
                    line.feed(piece)
        assert forgets.seen() == remembers.seen()

    same()


def test_only_what_the_long_way_takes_is_remembered():
    """Guards the test above: the short way really is taken where it may be."""
    assert plain.head(OK) == (200, b"Content-Type: text/plain\r\n", 2, len(OK) - 2)


async def test_equal_headers_are_judged_once_and_a_swap_holds_at_the_next_request(gate):
    """The memo is used on the second request, with another address; a revoked key ends it."""
    line = Line(gate, Downstream)
    kept = []
    for number in range(3):
        line.feed(gate.request(path=f"/system/v1/{number}?q={number}"))
        kept.append(line.link._memo)
    assert kept[0] is kept[1] is kept[2] is not None
    assert line.wire.out.count(b"HTTP/1.1 200 ") == 3
    assert b"GET /system/v1/2?q=2 HTTP/1.1\r\n" in line.behind
    gate.key_rows = (gate.row(mint("live")),)
    gate.publish()
    line.feed(gate.request(path="/system/v1/0?q=0"))
    assert line.wire.out.count(b"HTTP/1.1 401 ") == 1
    gate.key_rows = (gate.row(gate.key, networks=("198.51.100.0/24",)),)
    gate.publish()
    line.feed(gate.request(path="/system/v1/0?q=0"))
    assert line.wire.out.count(b"HTTP/1.1 401 ") == 2
    gate.key_rows = (gate.row(gate.key),)
    gate.publish()
    line.feed(gate.request(path="/system/v1/0?q=0"))
    assert line.wire.out.count(b"HTTP/1.1 200 ") == 4


async def test_a_key_that_expires_ends_with_the_time_told(gate, monkeypatch):
    """Nothing is published at that moment: the time itself is looked at with every request."""
    now_s = gate.worker.unix()
    gate.key_rows = (gate.row(gate.key, expires_s=int(now_s) + 100),)
    gate.publish()
    line = Line(gate, Downstream)
    line.feed(gate.request())
    line.feed(gate.request())
    gate.worker._unix_minus_monotonic_s += 200
    line.feed(gate.request())
    assert re.findall(rb"HTTP/1.1 (\d+)", line.wire.out) == [b"200", b"200", b"401"]


STATUSES = [b"404 Not Found", b"500 ", b"204 No Content", b"304 N", b"100 Continue", b"101 Switch",
            b"205 R", b"200", b"600 X", b"99 X", b"200 \xe4"]  # fmt: skip
LENGTHS = [
    b"content-length: 02", b"Content-Length: 3", b"Content-Length: 1", b"Content-Length: +2",
    b"Content-Length:2", b"Content-Length: 2 ", b"Content-Length: 2, 2", b"Content-Length: 0",
    b"Content-Length: 2\r\nContent-Length: 2", b"Transfer-Encoding: chunked", b"X-None: 1",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Content-Length:", b"Content-Length: 99999999999999999999",
]  # fmt: skip
LINES = [
    b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: h2c",
    b"X-A: b", b"X-A:b", b"X-A:", b"X-A: \xe9", b" folded", b"X A: b", b"X-A : b", b"X-A: a\x00",
    b"X-A: a\rb", b"X-A: a\nX-B: c", b": b", b"Keep-Alive: 5", b"Firmwire-Identity: x", b"X-A: \tb",
    b"Trailer: x", b"Set-Cookie: a=b", b"Set-Cookie: c=d", b"Connection: Close, x", b"X-A: b\t",
    b"Connection: upgrade\r\nUpgrade: h2c", b"Proxy-Connection: close", b"X(A): b", b"X-A: b\x7f",
]  # fmt: skip
BODIES = [b"", b"o", b"okmore", b"2\r\nok\r\n0\r\n\r\n", OK, b"ok" + OK]


def mostly(usual, others):
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), st.sampled_from(others))


REPLIES = st.tuples(
    mostly(b"HTTP/1.1", [b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 "]),
    mostly(b"200 OK", STATUSES), mostly(b"Content-Length: 2", LENGTHS),
    st.lists(st.sampled_from(LINES), max_size=2), mostly(b"ok", BODIES),
    st.one_of(st.just(1000), st.integers(0, 120)), mostly("GET", ["HEAD"]),
)  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
async def test_a_plain_reply_is_read_as_the_parser_reads_it(gate, monkeypatch, old):
    """The same bytes to the caller, and the line to the tier kept or cut alike."""
    head = plain.head

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.explicit, Phase.reuse, Phase.generate])  # fmt: skip
    @given(REPLIES)
    def same(reply):
        version, status, length, lines, body, cut, method = reply
        head_lines = (version + b" " + status, *lines, length)
        raw = b"\r\n".join(head_lines) + b"\r\n\r\n" + body
        seen = []
        for way in (head, lambda data: None):
            monkeypatch.setattr(plain, "head", way)
            line = Line(gate, Downstream)
            request = gate.request(method)
            if old:
                request = request.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
            line.feed(request, [part for part in (raw[:cut], raw[cut:]) if part])
            seen.append(line.seen())
        monkeypatch.setattr(plain, "head", head)
        assert seen[1] == seen[0]

    same()
