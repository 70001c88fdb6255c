"""An identity provider that nobody here wrote issues the tokens and signs the admins in."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey

from chassis import clock
from chassis.server import serving
from chassis.settings import Secret
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.control.identity_calls import create_admin, set_issuer
from gateway.identity import issuers as room
from gateway.identity.issuers import IssuerDraft
from gateway.identity.people import PersonDraft
from gateway.settings import ControlSettings, IdentitySettings
from sandbox.servers.tryton import cache

VERSION = "9.13.3"
API = "https://api.firm.test"


@pytest.fixture(scope="session")
def modules() -> Path:
    """Fetched once into the cache folder."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("an identity provider needs node and npm: install them to run this test")
    place = cache() / f"oidc-provider-{VERSION}"
    if not (place / "made").exists():
        part = place.with_name(f"{place.name}.{os.getpid()}")
        asked = [npm, "install", "--prefix", str(part), f"oidc-provider@{VERSION}",
                 "--no-audit", "--no-fund", "--ignore-scripts"]  # fmt: skip
        try:
            part.mkdir(parents=True)
            subprocess.run(asked, check=True, capture_output=True, timeout=180)
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(part, ignore_errors=True)
            pytest.skip(f"npm could not fetch oidc-provider {VERSION}: {error}")
        (part / "made").touch()
        try:
            part.rename(place)
        except OSError:  # another process was first
            shutil.rmtree(part, ignore_errors=True)
    return place


def key_of(kid: str) -> dict:
    return {**ECKey.generate_key("P-256").as_dict(private=True), "kid": kid, "use": "sig",
            "alg": "ES256"}  # fmt: skip


class Provider:
    """The provider's process; `again` with other keys is its key rotation."""

    def __init__(self, modules: Path, port: int, callback: str) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self._told = {
            "modules": str(modules), "port": port, "issuer": self.issuer, "callback": callback,
            "seconds": 600,
        }  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None

    async def again(self, *keys: dict, **told: object) -> None:
        await self.stop()
        given = json.dumps({**self._told, "keys": keys, **told})
        script = Path(__file__).with_name("provider.mjs")
        self._process = await asyncio.create_subprocess_exec(
            "node", str(script), env={"PATH": os.environ["PATH"], "PROVIDER": given},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(30):
            assert b"listening" in await self._process.stdout.readline()

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()

    async def token(self, http: httpx.AsyncClient, resource: str = API) -> str:
        form = {
            "grant_type": "client_credentials", "resource": resource, "scope": "system:read",
        }  # fmt: skip
        reply = await http.post(f"{self.issuer}/token", data=form, auth=("machine", "of a test"))
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])


@pytest.fixture
def ports(unused_tcp_port_factory):
    return unused_tcp_port_factory(), unused_tcp_port_factory()


@pytest.fixture
async def provider(modules, ports):
    found = Provider(modules, ports[0], f"http://127.0.0.1:{ports[1]}/oauth/oidc/callback")
    await found.again(key_of("first"))
    yield found
    await found.stop()


@pytest.fixture
async def control(provider, ports, upstream, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "AGAIN_S", 0.2)
    own = IdentitySettings(
        loopback_issuers=True, oidc_issuer=provider.issuer, oidc_client_id="console",
        oidc_client_secret=Secret("of a test"),
    )  # fmt: skip
    settings = ControlSettings(
        system_url=f"http://127.0.0.1:{upstream.port}", identity=own, port=ports[1]
    )
    async with serving(control_plane(settings, tmp_path), port=ports[1]) as url:
        yield url


@pytest.fixture
async def admin(control, tmp_path):
    async with ControlClient(control, admin_token(tmp_path)) as client:
        await client.set_consumer("acme", "internal")
        yield client


@pytest.fixture
async def http():
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


async def test_its_tokens_count_while_they_should_and_its_keys_may_change(
    provider, control, admin, http, tmp_path, Plane
):
    """Audience, issuer, expiry, rotation: real tokens by somebody else's code."""
    await set_issuer(admin, IssuerDraft(issuer=provider.issuer, audience=API, consumer="acme"))
    async with Plane(tmp_path, control) as plane:

        async def status(token: str) -> int:
            url = f"http://127.0.0.1:{plane.port}/system/v1/x"
            bearer = {"authorization": f"Bearer {token}"}
            return (await http.get(url, headers=bearer)).status_code

        async def soon(token: str, wanted: int) -> None:
            ends_s = clock.monotonic() + 20
            while await status(token) != wanted:
                assert clock.monotonic() < ends_s
                await asyncio.sleep(0.05)

        first = await provider.token(http)
        await soon(first, 200)
        assert await status(await provider.token(http, "https://other.firm.test")) == 401
        rotated = key_of("second")
        await provider.again(rotated, seconds=10)
        second = await provider.token(http)
        await soon(second, 200)  # nobody told us of the new key
        assert await status(first) == 401  # and the old one is published no more
        await soon(second, 401)  # ten seconds it had to live
        await provider.again(rotated, issuer=provider.issuer.replace("127.0.0.1", "localhost"))
        assert await status(await provider.token(http)) == 401  # its key, another name
        await provider.again(key_of("second"))
        forged = await provider.token(http)  # same names, another key: as another issuer would
        assert await status(forged) == 401


class Browser:
    """Follows redirects and posts the forms it is shown."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def to(self, url: str) -> httpx.Response:
        reply = await self.http.get(url)
        while reply.is_redirect:
            reply = await self.http.get(urljoin(str(reply.url), reply.headers["location"]))
        return reply

    async def through(self, reply: httpx.Response, stop_at: str, **fields: str) -> httpx.Response:
        """Submit whatever forms come, until a redirect goes to `stop_at`."""
        for _ in range(6):
            action = re.search(r'<form[^>]* action="([^"]+)"', reply.text)
            assert action is not None, reply.text
            hidden = re.findall(r'name="(\w+)" value="([^"]*)"', reply.text)
            reply = await self.http.post(
                urljoin(str(reply.url), action[1]), data={**dict(hidden), **fields}
            )
            while reply.is_redirect:
                next = urljoin(str(reply.url), reply.headers["location"])
                if next.startswith(stop_at):
                    return reply
                reply = await self.http.get(next)
        raise AssertionError("the provider never sent us back")


async def test_an_admin_signs_in_there_and_is_who_we_say_here(provider, control, admin, http):
    """State, nonce and PKCE by their code and ours; a role only for who was given one."""
    draft = PersonDraft(name="kim", role="auditor", subject="kim-there")
    await create_admin(admin, draft)
    callback = f"{control}/oauth/oidc/callback"

    async def signs_in(name: str) -> tuple[httpx.Response, httpx.AsyncClient]:
        mine = httpx.AsyncClient(trust_env=False, timeout=20)
        browser = Browser(mine)
        page = await browser.to(f"{control}/oauth/oidc/begin?next=/admin/v1/me")
        assert urlsplit(str(page.url)).netloc == urlsplit(provider.issuer).netloc
        back = await browser.through(page, callback, login=name, password="x")
        return back, mine

    back, mine = await signs_in("kim-there")
    where = back.headers["location"]
    assert (await http.get(where)).status_code == 401  # another browser has no state
    reply = await mine.get(where)
    assert (reply.status_code, reply.headers["location"]) == (303, "/admin/v1/me")
    assert (await mine.get(f"{control}/admin/v1/me")).json() == {"name": "kim", "role": "auditor"}
    assert (await mine.get(where)).status_code == 401  # once
    await mine.aclose()

    back, mine = await signs_in("stranger")
    reply = await mine.get(back.headers["location"])
    assert (reply.status_code, "nobody here has given you a role" in reply.text) == (403, True)
    await mine.aclose()

    back, mine = await signs_in("kim-there")
    tampered = re.sub(r"state=[^&]+", "state=other", back.headers["location"])
    reply = await mine.get(tampered)
    assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")
    await mine.aclose()
