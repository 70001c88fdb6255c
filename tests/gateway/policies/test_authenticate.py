"""Who gets in, and that those who do not learn nothing from it."""

import re
from base64 import b64encode

from chassis import clock
from gateway import keys


async def test_401_is_the_same_for_every_wrong_key(gate):
    """Missing, malformed, unknown, revoked, expired, from elsewhere, doubled: one answer."""
    revoked, expired, elsewhere = (keys.mint("live") for _ in range(3))
    past_s = int(clock.now().timestamp()) - 1
    gate.key_rows = (
        *gate.key_rows,
        gate.row(expired, expires_s=past_s),
        gate.row(elsewhere, networks=("10.0.0.0/8",)),
    )
    gate.publish()
    digest = gate.peppers.digest(gate.key.encode())[1].hex()
    wrong = [
        await gate.ask(key=None),
        await gate.ask(key="nonsense"),
        await gate.ask(key=gate.key[:-1]),
        await gate.ask(key=gate.key + "a"),
        await gate.ask(key=keys.mint("live")),
        await gate.ask(key=revoked),
        await gate.ask(key=expired),
        await gate.ask(key=elsewhere),
        await gate.ask(key=digest),
        await gate.ask(X_Api_Key=gate.key),
        await gate.ask(key=None, Authorization=f"Basic {gate.key}"),
    ]
    told = [await gate.ask("GET", f"/system/v1/x?api_key={key}", key=None)
            for key in (gate.key, keys.mint("live"))]  # fmt: skip
    assert [one.status for one in told] == [400, 400]  # a key in an address is not looked up
    shown = {(one.status, _plain(one)) for one in wrong}
    assert len(shown) == 1
    assert wrong[0].status == 401
    raw = await gate.raw(gate.request(key=None, Connection="close"))
    assert b'www-authenticate: Bearer realm="firmwire"' in raw


async def test_200_by_either_header_and_from_an_allowed_network(gate):
    """Authorization: Bearer, or X-Api-Key."""
    inside = keys.mint("live")
    later_s = int(clock.now().timestamp()) + 60
    row = gate.row(inside, networks=("127.0.0.0/8",), expires_s=later_s)
    gate.key_rows = (*gate.key_rows, row)
    gate.publish()
    assert (await gate.ask()).status == 200
    assert (await gate.ask(key=None, X_Api_Key=gate.key)).status == 200
    assert (await gate.ask(key=inside)).status == 200


async def test_403_without_a_scope_of_the_route(gate, upstream):
    """A key never may more than its plan, and a route asks for one of its own scopes."""
    other = keys.mint("live")
    beyond = keys.mint("live")
    gate.key_rows = (
        *gate.key_rows,
        gate.row(other, scopes=("process:time:read",)),
        gate.row(beyond, scopes=("process:*",)),
    )
    gate.publish()
    for key in (other, beyond):
        answered = await gate.ask(key=key)
        assert (answered.status, answered.problem) == (403, "forbidden")
    assert upstream.seen == []


def _plain(answered):
    """Body and headers without what differs by request."""
    headers = {n: v for n, v in answered.headers.items() if n != "firmwire-request-id"}
    return re.sub(rb'"instance":"[^"]*"', b"", answered.body), tuple(sorted(headers.items()))


async def test_basic_is_for_looking_only(gate):
    """A browser's key comes as Basic password; a form on another site must not act with it."""
    both = b64encode(f"any:{gate.key}".encode()).decode()
    looked = await gate.ask(key=None, Authorization=f"Basic {both}")
    acted = await gate.ask("POST", key=None, Authorization=f"Basic {both}")
    assert (looked.status, acted.status) == (200, 401)


async def test_basic_does_something_only_where_a_route_says_so(gate):
    """The door of a form; two keys are as bad as none there, too."""
    basic = b64encode(f"me:{gate.key}".encode()).decode()
    told = {"key": None, "Authorization": f"Basic {basic}", "body": b""}
    assert (await gate.ask("POST", **told)).status == 401
    policies = {"authenticate": {"forms": True}, "authorise": {"scope": "system"}}
    gate.route = {"policies": policies}
    gate.publish()
    assert (await gate.ask("POST", **told)).status == 200
    assert (await gate.ask("POST", X_Api_Key=gate.key, **told)).status == 401
