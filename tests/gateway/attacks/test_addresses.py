"""Cases 1 to 4 and 6: two readers of an address, a host or a caller's place must not disagree."""

import pytest

from gateway.dataplane import hops
from gateway.metering.limit import Limit

ADMIN = {
    "name": "admin", "prefix": "/system/v1/admin", "upstream": "system",
    "policies": {"authenticate": {}, "authorise": {"scope": "system:admin"}},
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/system/v1/..%2fadmin", "/system/v1/..%2Fadmin", "/system/v1/%2e%2e/admin",
        "/system/v1/%2E./admin", "/system/v1/.%2e/admin", "/system/v1/%252e%252e/admin",
        "/system/v1/%25%32%65/admin", "/system/v1/..;/admin", "/system/v1/..%3b/admin",
        "/system/v1/x;v=1", "/system/v1/x;/admin", "/system/v1/a\\..\\admin",
        "/system/v1/a%5cadmin",
        "/system/v1/a%5Cadmin", "/system/v1/../admin", "/system/v1/./admin", "/system/v1/x/..",
        "/system/v1/%c0%ae%c0%ae/admin", "/system/v1/%c0%afadmin", "/system/v1/%e0%80%af",
        "/system/v1/%u002e", "/system/v1/%", "/system/v1/%f", "/system/v1/%ff", "/system/v1/a%00",
        "/system/v1/a%0d%0aX-Evil:%201",
    ],
)  # fmt: skip
async def test_case_01_traversal_in_any_disguise_is_refused(gate, upstream, path):
    """Dots, slashes, backslashes, semicolons and doubled escapes: 400, and nobody sees it."""
    assert (await gate.ask("GET", path)).status == 400
    assert upstream.seen == []


@pytest.mark.parametrize(
    "path", ["/system/v1/admin", "/system/v1/%61dmin", "/system/v1/%61%64%6d%69%6E/x"]
)
async def test_case_02_an_escaped_letter_is_the_letter_for_every_policy(gate, upstream, path):
    """A route over a stricter prefix cannot be walked around by spelling it otherwise."""
    gate.more_routes = (ADMIN,)
    gate.publish()
    assert (await gate.ask("GET", path)).status == 403
    assert upstream.seen == []


async def test_case_02_one_bucket_for_every_spelling_and_every_path_parameter(gate, upstream):
    """The limit belongs to caller and route: no path makes a new one."""
    slow = Limit(name="rate", kind="rate", amount=1, window_s=1000, burst=6)
    gate.plan = gate.plan.__class__(name="gold", scopes=("system:*",), limits=(slow,))
    gate.publish()
    paths = ["/b/1", "/b/01", "/b/%31", "/b/2", "/b/1/", "/B/1", "/b/3", "/b/4"]
    asked = [(await gate.ask("GET", f"/system/v1{path}")).status for path in paths]
    assert asked == [200] * 6 + [429] * 2
    told = [seen.head.split(b" ")[1] for seen in upstream.seen]
    assert told[0] == told[2] == b"/system/v1/b/1"
    for path in ("/system/v1//b/1", "//system/v1/b/1", "/system//v1/b"):
        assert (await gate.ask("GET", path)).status == 400
    assert (await gate.ask("GET", "/SYSTEM/v1/b/1")).status == 404
    assert (await gate.ask("GET", "/system/V1/b/1")).status == 404


@pytest.mark.parametrize("path", ["/system/v1/x#y", "/system/v1/x?a#y", "#", "*", "/*#", "x", ""])
async def test_case_03_fragments_and_stars_are_no_paths(gate, upstream, path):
    """What a server must never be sent is not guessed at."""
    assert (await gate.ask("GET", path)).status == 400
    assert upstream.seen == []


@pytest.mark.parametrize(
    "target",
    [
        "http://gateway.test/system/v1/x", "http://evil.test/system/v1/x",
        "//evil.test/system/v1/x",
        "@evil.test/system/v1/x", "gateway.test:80", "https:///system/v1/x", "\\system\\v1",
    ],
)  # fmt: skip
async def test_case_04_absolute_and_authority_forms_are_refused(gate, upstream, target):
    """Only the origin form is spoken: there is no second host to believe."""
    for method in ("GET", "CONNECT"):
        assert (await gate.ask(method, target)).status == 400
    assert upstream.seen == []


@pytest.mark.parametrize(
    "host",
    [
        "a/?x=", "a:80@b", "a b", "a,b", "a#b", "a?b", "a\\b", "a:b", "a:1:2", "[::1", "a:99999999",
        "", "a\tb", "user@a", "a%2fb", "é.test",
    ],
)  # fmt: skip
async def test_case_04_a_host_that_is_none_is_refused(gate, upstream, host):
    """Also an empty one: a host is a name or an address, and perhaps a port."""
    head = f"GET /system/v1/x HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {gate.key}\r\n\r\n"
    seen = await gate.raw(head.encode())
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert upstream.seen == []


async def test_case_04_only_hosts_on_the_list_are_answered(gate, upstream):
    """X-Forwarded-Host and friends neither stand in for a host nor travel on."""
    gate.more = {"hosts": ("api.firm.test",)}
    gate.publish()
    key = f"X-Api-Key: {gate.key}\r\n"
    spoof = "X-Forwarded-Host: api.firm.test\r\nForwarded: host=api.firm.test\r\n"

    async def status(lines: str) -> bytes:
        sent = f"GET /system/v1/x HTTP/1.1\r\n{lines}{key}Connection: close\r\n\r\n"
        return (await gate.raw(sent.encode())).split(b" ")[1]

    assert await status("Host: evil.test\r\n" + spoof) == b"404"
    assert await status(spoof) == b"400"
    assert await status("Host: api.firm.test\r\nHost: evil.test\r\n") == b"400"
    assert await status("Host: api.firm.test.evil.test\r\n") == b"404"
    assert upstream.seen == []
    assert await status("Host: API.firm.test:8443\r\n" + spoof) == b"200"
    (seen,) = upstream.seen
    assert seen.header("host") == [f"127.0.0.1:{upstream.port}"]
    assert seen.header("x-forwarded-host") + seen.header("forwarded") == []


async def test_case_06_by_default_no_header_says_where_a_caller_is(gate, upstream):
    """A key bound to a network is not freed by a line of text."""
    gate.key_rows = (gate.row(gate.key, networks=("10.0.0.0/8",)),)
    gate.publish()
    for name in ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "X-Client-IP", "Forwarded"):
        answered = await gate.ask(**{name.replace("-", "_"): "10.1.2.3"})
        assert answered.status == 401
    assert upstream.seen == []


async def test_case_06_behind_our_own_proxies_only_their_entries_count(gate, upstream):
    """From the right, as many as there are proxies; what a caller wrote stands further left."""
    gate.worker.trusted_hops = 2
    gate.key_rows = (gate.row(gate.key, networks=("10.0.0.0/8",)),)
    gate.publish()
    good = "10.1.2.3, 192.0.2.1"
    bad = ("10.1.2.3, 6.6.6.6, 192.0.2.1", "10.1.2.3", "6.6.6.6, 10.0.0.1", "evil, 192.0.2.1", "")
    assert [(await gate.ask(X_Forwarded_For=given)).status for given in bad] == [
        401, 200, 401, 401, 401,
    ]  # fmt: skip
    forged = f"6.6.6.6, 7.7.7.7, {good}"
    answered = await gate.ask(X_Forwarded_For=forged, X_Forwarded_Proto="gopher, https")
    assert answered.status == 200
    assert upstream.seen[-1].header("x-forwarded-for") == ["10.1.2.3"]
    assert upstream.seen[-1].header("x-forwarded-proto") == ["https"]


def test_case_06_an_address_has_one_form():
    """IPv4 in IPv6 is IPv4; ports and brackets are none of it; a zone is no address of the net."""
    forms = {
        b"::ffff:10.1.2.3": "10.1.2.3", b"[2001:DB8::1]:443": "2001:db8::1",
        b"10.1.2.3:80": "10.1.2.3",
        b"2001:0db8:0::1": "2001:db8::1", b"fe80::1%eth0": "", b"010.1.2.3": "", b"unknown": "",
        b"_hidden": "", b"1.2.3": "", b"\xff": "",
    }  # fmt: skip
    assert {given: hops.address(given) for given in forms} == forms


async def test_case_06_a_mapped_address_is_inside_its_network(gate, upstream):
    """`::ffff:10.1.2.3` is 10.1.2.3 for an allow list."""
    gate.worker.trusted_hops = 1
    gate.key_rows = (gate.row(gate.key, networks=("10.0.0.0/8",)),)
    gate.publish()
    asked = [
        (await gate.ask(X_Forwarded_For=given)).status
        for given in ("::ffff:10.1.2.3", "::ffff:11.1.2.3", "2001:db8::1")
    ]
    assert asked == [200, 401, 401]


async def test_case_06_no_new_address_is_a_new_bucket(gate):
    """Spoofed entries, other addresses of one /64, and IPv4 in IPv6 are one subscriber."""
    slow = Limit(name="rate", kind="rate", amount=1, window_s=1000, burst=4, per=("address",))
    gate.plan = gate.plan.__class__(name="gold", scopes=("system:*",), limits=(slow,))
    gate.publish()
    spoofed = [(await gate.ask(X_Forwarded_For=f"10.0.0.{n}")).status for n in range(6)]
    assert spoofed == [200] * 4 + [429] * 2
    gate.worker.trusted_hops = 1
    inside = [f"6.6.6.{n}, 2001:db8:1:2:{n:x}::{n:x}" for n in range(1, 7)]
    assert [(await gate.ask(X_Forwarded_For=one)).status for one in inside] == [200] * 4 + [429] * 2
    assert (await gate.ask(X_Forwarded_For="2001:db8:1:3::1")).status == 200
    mapped = [
        "192.0.2.9",
        "::ffff:192.0.2.9",
        "::FFFF:c000:209",
        "[::ffff:192.0.2.9]:80",
        "192.0.2.9:1",
    ]
    assert [(await gate.ask(X_Forwarded_For=one)).status for one in mapped] == [200] * 4 + [429]
