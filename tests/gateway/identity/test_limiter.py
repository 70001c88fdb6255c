"""Who counts as one caller of the token endpoints, and where the counting happens."""

import asyncio

import httpx
import pytest
from slowapi.errors import RateLimitExceeded
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chassis import clock
from gateway.identity import door
from gateway.identity.limiter import limiter_of, too_many
from gateway.keys import Peppers, hasher
from gateway.settings import IdentitySettings

PEPPERS = Peppers("p1", {"p1": b"x" * 32, "p0": b"y" * 32})


def app_of(**settings: object) -> httpx.AsyncClient:
    """Three tries a minute, for callers on 127.0.0.1."""
    limiter = limiter_of(IdentitySettings(**settings), PEPPERS)

    @limiter.shared_limit("3/minute", scope="tries")
    def tried(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    routes = [Route("/a/{id}", tried), Route("/b", tried)]
    app = Starlette(routes=routes, exception_handlers={RateLimitExceeded: too_many})
    app.state.limiter = limiter
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://firm.test")


def came(client: str, *, pepper: str = "p1", ago_s: float = 0) -> dict[str, str]:
    sealed = door.sealed(
        hasher(PEPPERS.secrets[pepper]), client, b"", clock.now().timestamp() - ago_s
    )
    return {door.HEADER: sealed.decode()}


async def tries(http: httpx.AsyncClient, *headers: dict[str, str]) -> list[int]:
    return [(await http.get("/b", headers=each)).status_code for each in headers]


async def test_paths_and_headers_make_no_new_caller():
    """A parameter in the path, forwarded addresses, a seal that is none: the same bucket."""
    async with app_of() as http:
        statuses = [(await http.get(f"/a/{at}")).status_code for at in range(3)]
        assert statuses == [200, 200, 200]
        assert await tries(
            http, {}, {"x-forwarded-for": "10.0.0.1"}, {"X_FORWARDED_FOR": "10.0.0.2"},
            {"forwarded": "for=10.0.0.3"}, {door.HEADER: "10.0.0.4||1|AAAA"},
            came("10.0.0.5", ago_s=60), {door.HEADER: came("10.0.0.6")[door.HEADER] + "A"},
        ) == [429] * 7  # fmt: skip


async def test_the_data_planes_word_counts_by_either_pepper():
    """Callers behind the public door are told apart; one IPv6 network is one caller."""
    async with app_of() as http:
        assert await tries(http, *[came("10.0.0.1")] * 4) == [200] * 3 + [429]
        assert await tries(http, *[came("10.0.0.2", pepper="p0")] * 4) == [200] * 3 + [429]
        assert await tries(http, came("::ffff:10.0.0.2")) == [429]
        rotating = [came(f"2001:db8:1:2::{at:x}") for at in range(1, 5)]
        assert await tries(http, *rotating) == [200] * 3 + [429]
        assert await tries(http, came("2001:db8:1:3::1")) == [200]


async def test_a_trusted_proxy_is_believed_as_far_as_it_is_trusted():
    """One hop: what the nearest proxy saw, whatever the caller wrote before it."""
    async with app_of(trusted_hops=1) as http:
        spoofed = [{"x-forwarded-for": f"10.0.0.{at}, 192.0.2.1"} for at in range(4)]
        assert await tries(http, *spoofed) == [200] * 3 + [429]
        assert await tries(http, {"x-forwarded-for": "192.0.2.2"}) == [200]


async def test_several_control_planes_count_together(redis_url):
    """In the store that the settings name."""
    async with app_of(redis_url=redis_url) as one, app_of(redis_url=redis_url) as other:
        assert await tries(one, {}, {}) == [200, 200]
        assert await tries(other, {}, {}) == [200, 429]


async def test_a_store_that_is_down_still_leaves_a_limit(unused_tcp_port):
    """In memory then; guessing does not become free."""
    async with app_of(redis_url=f"redis://127.0.0.1:{unused_tcp_port}") as http:
        async with asyncio.timeout(20):
            assert await tries(http, *[{}] * 5) == [200] * 3 + [429] * 2


@pytest.mark.parametrize("value", ["", "|", "|||", "a|b|c|d", "1.2.3.4||x|", "1.2.3.4||9|ä"])
def test_a_seal_that_is_none_says_nothing(value):
    """Whatever comes in the header, nobody is believed and nothing fails."""
    assert door.opened(value, PEPPERS, 9.0) is None


def test_a_seal_holds_for_what_it_sealed():
    """Address, certificate and time; nothing of it may be changed."""
    value = door.sealed(hasher(PEPPERS.secrets["p1"]), "10.0.0.1", b"c" * 32, 1000.0).decode()
    found = door.opened(value, PEPPERS, 1010.0)
    assert (found.client, len(found.certificate), found.public) == ("10.0.0.1", 43, True)
    assert door.opened(value, PEPPERS, 1031.0) is None
    assert door.opened(value, Peppers("p2", {"p2": b"z" * 32}), 1010.0) is None
    for at in range(len(value)):
        other = "A" if value[at] != "A" else "B"
        assert door.opened(value[:at] + other + value[at + 1 :], PEPPERS, 1010.0) is None
