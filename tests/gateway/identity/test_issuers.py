"""Keys of other issuers: fetched once for many, kept while the issuer is down, found when new."""

import asyncio
import json

import pytest

from chassis import clock
from chassis.server import serving
from contracts.problem import Problem
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.identity_calls import issuers, remove_issuer, set_issuer
from gateway.identity import issuers as room
from gateway.identity.issuers import IssuerDraft
from gateway.settings import ControlSettings, IdentitySettings


class Elsewhere:
    """An issuer of ten lines: what it publishes, how often it was asked, how it misbehaves."""

    def __init__(self) -> None:
        self.keys: list[dict] = []
        self.asked = 0
        self.reply = b""
        self.held: asyncio.Event | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ")[1]
                if self.held is not None:
                    await self.held.wait()
                if path.endswith("openid-configuration"):
                    body = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "more": 1}
                else:
                    self.asked += 1
                    body = {"keys": self.keys}
                raw = json.dumps(body).encode()
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
                writer.write(self.reply or head + raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def elsewhere(maker):
    found = Elsewhere()
    found.keys = [maker.jwk]
    await found.start()
    yield found
    found.server.close()


@pytest.fixture
def settings(upstream):
    own = IdentitySettings(loopback_issuers=True)
    return ControlSettings(system_url=f"http://127.0.0.1:{upstream.port}", identity=own)


@pytest.fixture
async def control(settings, tmp_path):
    service = control_plane(settings, tmp_path)
    async with serving(service) as url:
        yield service, url


@pytest.fixture
async def admin(control, tmp_path):
    async with ControlClient(control[1], admin_token(tmp_path)) as client:
        await client.set_consumer("acme", "internal")
        yield client


def draft(elsewhere, **more) -> IssuerDraft:
    return IssuerDraft(issuer=elsewhere.url, audience="https://api.test", consumer="acme", **more)


async def test_an_unknown_key_is_fetched_once_and_the_token_is_good(
    control, admin, elsewhere, maker, tmp_path, Plane, monkeypatch
):
    """Rotation at the issuer: nobody is told, and seconds later new tokens are good."""
    monkeypatch.setattr(room, "AGAIN_S", 0.2)
    added = await set_issuer(admin, draft(elsewhere))
    assert (added.keys, added.jwks_uri) == (("k1",), f"{elsewhere.url}/keys")
    async with Plane(tmp_path, control[1]) as plane:
        bearers = plane.worker._around.bearers

        def good(header: dict, key) -> bool:
            now_s = int(clock.now().timestamp())
            told = {"iss": elsewhere.url, "iat": now_s, "nbf": now_s, "exp": now_s + 60}
            return bearers.ticket(maker.token(header=header, key=key, **told)) is not None

        async def soon(*asked) -> None:
            ends_s = clock.monotonic() + 15
            while not good(*asked):
                assert clock.monotonic() < ends_s
                await asyncio.sleep(0.02)

        await soon({}, maker.key)
        elsewhere.keys = [
            {"kid": "odd"}, {**maker.other.as_dict(private=False), "kid": "k2"}, maker.jwk,
        ]  # fmt: skip
        asked = elsewhere.asked
        await soon({"kid": "k2"}, maker.other)
        assert good({}, maker.key)
        assert elsewhere.asked - asked <= 3
        assert {key["kid"] for key in plane.worker.snapshot.issuers[1].keys} == {"k1", "k2"}
        await remove_issuer(admin, elsewhere.url)
        while good({}, maker.key):
            await asyncio.sleep(0.01)


async def test_an_issuer_that_is_down_or_talks_nonsense_keeps_its_keys(control, admin, elsewhere):
    """Stale while error; many who ask at once are one call."""
    service, _ = control
    await set_issuer(admin, draft(elsewhere))
    keeper = service.litestar.state.keeper
    elsewhere.held = asyncio.Event()
    before = elsewhere.asked
    many = [asyncio.create_task(keeper.refresh(elsewhere.url)) for _ in range(20)]
    await asyncio.sleep(0)
    elsewhere.held.set()
    assert await asyncio.gather(*many) == [False] * 20
    assert elsewhere.asked == before + 1
    for reply in (
        b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"keys":[]}',
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ):
        elsewhere.reply = reply
        assert not await keeper.refresh(elsewhere.url)
    (kept,) = (await issuers(admin)).items
    assert kept.keys == ("k1",)


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data", "https://169.254.169.254/keys",
        "https://[fe80::1]/keys", "https://[::]/keys", "https://0.0.0.0/keys",
        "https://a@127.0.0.1/keys", "http://192.0.2.1/keys", "https://[::ffff:169.254.169.254]/k",
    ],
)  # fmt: skip
async def test_addresses_of_the_neighbourhood_are_not_asked(uri, control, admin, elsewhere):
    """SSRF: metadata services, link-local, plain http, credentials in an address."""
    with pytest.raises(Problem) as refused:
        await set_issuer(admin, draft(elsewhere, jwks_uri=uri))
    assert refused.value.fault.code == "invalid"


async def test_loopback_is_asked_only_where_the_settings_say_so(elsewhere):
    """Neither by name nor by number."""
    keeper = room.Keeper(None, None, loopback=False)
    for uri in (f"{elsewhere.url}/keys", "https://localhost/keys", "https://127.1/keys"):
        with pytest.raises(Problem):
            await keeper.discovered(draft(elsewhere, jwks_uri=uri))
    assert elsewhere.asked == 0
