"""The console's pages about clients, issuers, signing keys and admins, as forms that are sent."""

import asyncio
import json
import re

import httpx
import pytest
from joserfc.jwk import ECKey

from chassis.server import serving
from gateway.control import identity_calls
from gateway.control.app import control_plane
from gateway.control.client import admin_token
from gateway.identity.people import PersonDraft
from gateway.settings import ControlSettings, IdentitySettings

SECRET = re.compile(r'id="secret"[^>]*>([^<]+)<')


class Visitor:
    """Somebody signed in to the console."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.csrf = ""

    async def sign_in(self, password: str, name: str = "") -> "Visitor":
        page = await self._client.get("/oauth/login?next=/console/keys")
        token = re.search(r'name="form" value="([^"]+)"', page.text)[1]
        told = {"form": token, "name": name, "password": password, "next": "/console/keys"}
        await self._client.post("/oauth/login", data=told)
        page = await self.page("/keys")
        self.csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)[1]
        return self

    async def page(self, where: str) -> httpx.Response:
        return await self._client.get(f"/console{where}")

    async def sent(self, where: str, **told: str) -> httpx.Response:
        told = {"csrf": self.csrf, "reason": "why", **told}
        return await self._client.post(f"/console{where}", data=told)


@pytest.fixture
async def control(tmp_path):
    """One that may ask issuers on this machine."""
    settings = ControlSettings(identity=IdentitySettings(loopback_issuers=True))
    async with serving(control_plane(settings, tmp_path)) as url:
        yield url


@pytest.fixture
async def visitor(control, tmp_path):
    async with httpx.AsyncClient(base_url=control) as client:
        yield await Visitor(client).sign_in(admin_token(tmp_path))


def beside(answer: httpx.Response) -> str:
    return " ".join(re.findall(r'<p class="wrong">([^<]*)</p>', answer.text))


async def test_a_client_from_first_to_last(visitor, admin):
    """Made with its secret once, found, another secret, ended; mistakes beside their fields."""
    await admin.set_consumer("acme", "partner", "internal")
    told = {"consumer": "acme", "method": "client_secret_basic", "acts": "client"}
    wrong = await visitor.sent("/clients", **told, scopes="nonsense", keys="{", bound="rope")
    assert wrong.status_code == 422
    assert all(said in beside(wrong) for said in ("regex", "is not JSON", "rope"))
    wrong = await visitor.sent("/clients", **told, plan="gone")
    assert "does not subscribe to the plan gone" in beside(wrong)
    wrong = await visitor.sent("/clients", **told | {"acts": "person"})
    assert "needs where to send people back to" in beside(wrong)
    made = await visitor.sent("/clients", **told, name="Night <b>job</b>", plan="internal")
    first = SECRET.search(made.text)[1]
    (seen,) = (await identity_calls.clients(admin)).items
    assert (made.status_code, seen.plan, seen.name) == (201, "internal", "Night <b>job</b>")
    found = (await visitor.page("/clients?search=night")).text
    assert seen.id in found
    assert "<b>job" not in found
    assert seen.id not in (await visitor.page("/clients?search=nobody")).text
    page = (await visitor.page(f"/clients/{seen.id}")).text
    assert first not in page
    second = SECRET.search((await visitor.sent(f"/clients/{seen.id}/rotate")).text)[1]
    for secret, status in ((first, 401), (second, 200)):
        answer = await visitor._client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(seen.id, secret)
        )
        assert answer.status_code == status
    assert (await visitor.sent(f"/clients/{seen.id}/revoke", reason="")).status_code == 422
    assert (await visitor.sent(f"/clients/{seen.id}/revoke")).status_code == 303
    assert (await visitor.sent(f"/clients/{seen.id}/rotate")).status_code == 409
    trail = (await admin.audit(action="client")).items
    assert [entry.action for entry in trail] == [
        "client.revoked", "client.rotated", "client.created",
    ]  # fmt: skip
    assert all(secret not in str(trail) for secret in (first, second))


async def test_admins_are_made_changed_and_ended(visitor, control, admin):
    """The password is shown once and works; a role counts at once; out is out."""
    wrong = await visitor.sent("/admins", name="Bad Name", role="king")
    assert wrong.status_code == 422
    assert "king" in beside(wrong)
    made = await visitor.sent("/admins", name="ann", role="auditor")
    password = SECRET.search(made.text)[1]
    assert password not in (await visitor.page("/admins")).text
    assert "ann" in (await visitor.page("/admins?search=audit")).text
    assert "ann" not in (await visitor.page("/admins?search=oper")).text
    async with httpx.AsyncClient(base_url=control) as client:
        ann = await Visitor(client).sign_in(password, "ann")
        assert (await ann.page("/keys/new")).status_code == 403
        assert (await ann.sent("/admins", name="eve", role="support")).status_code == 403
        assert "change</summary>" not in (await ann.page("/admins")).text
        await visitor.sent("/admins/ann/role", role="operator")
        assert (await ann.page("/keys/new")).status_code == 200
        await visitor.sent("/admins/ann/disable")
        assert (await ann.page("/keys")).status_code == 303
    again = SECRET.search((await visitor.sent("/admins/ann/password")).text)[1]
    assert again != password
    trail = (await admin.audit(subject="ann", search="why")).items
    assert [entry.action for entry in trail] == [
        "admin.password_set", "admin.disabled", "admin.role_set", "admin.created",
    ]  # fmt: skip
    assert {entry.reason for entry in trail} == {"why"}
    assert password not in str(trail)


async def test_nobody_changes_the_own_role_or_makes_somebody_stronger(visitor, control, admin):
    """Not by a page, not by the API."""
    made = await identity_calls.create_admin(admin, PersonDraft(name="ada", role="admin"))
    async with httpx.AsyncClient(base_url=control) as client:
        ada = await Visitor(client).sign_in(made.password, "ada")
        refused = await ada.sent("/admins/ada/role", role="auditor")
        assert (refused.status_code, "somebody else" in refused.text) == (409, True)
        await identity_calls.set_role(admin, "ada", "operator")
        for where, told in (
            ("/admins", {"name": "eve", "role": "auditor"}),
            ("/admins/ada/role", {"role": "admin"}),
            ("/admins/ada/password", {}), ("/issuers/remove", {"issuer": "x"}),
            ("/signing-keys/rotate", {}),
        ):  # fmt: skip
            assert (await ada.sent(where, **told)).status_code == 403, where
        assert (await ada.page("/issuers")).status_code == 200
        assert (await ada.page("/admins")).status_code == 403


@pytest.fixture
async def issuer():
    """URL of somebody who signs tokens, and the keys it publishes."""
    keys = [ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})]

    async def answer(reader, writer) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        found = {"issuer": url, "jwks_uri": f"{url}/keys"}
        body = found if path.endswith("openid-configuration") else {
            "keys": [key.as_dict(private=False) for key in keys]
        }  # fmt: skip
        raw = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
                     % (len(raw), raw))  # fmt: skip
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield url, keys
    server.close()


async def test_an_issuer_is_trusted_asked_again_and_removed(visitor, admin, issuer):
    """Its keys are fetched first; one that does not answer is refused beside its field."""
    url, keys = issuer
    await admin.set_consumer("acme", "partner", "internal")
    told = {"audience": "https://api.firm.example", "consumer": "acme", "types": "at+jwt jwt"}
    wrong = await visitor.sent("/issuers", issuer="http://127.0.0.1:9", **told)
    assert wrong.status_code >= 400
    wrong = await visitor.sent("/issuers", issuer=url, **told, plan="gone")
    assert "does not subscribe to the plan gone" in beside(wrong)
    assert f'value="{url}"' in wrong.text
    assert (await visitor.sent("/issuers", issuer=url, **told, plan="internal")).status_code == 303
    (seen,) = (await identity_calls.issuers(admin)).items
    assert (seen.plan, seen.types, seen.keys) == ("internal", ("at+jwt", "jwt"), ("k1",))
    assert url in (await visitor.page("/issuers?search=acme")).text
    assert f'value="{url}"' not in (await visitor.page("/issuers?search=nobody")).text
    edited = (await visitor.page(f"/issuers?edit={url}")).text
    assert f'value="{url}/keys"' in edited
    assert 'value="at+jwt jwt"' in edited
    assert (await visitor.page("/issuers?edit=https://nobody.example")).status_code == 404
    keys.append(ECKey.generate_key("P-256", {"kid": "k2", "alg": "ES256", "use": "sig"}))
    for done in ("keys_new", "keys_same"):
        answer = await visitor.sent("/issuers/refresh", issuer=url)
        assert answer.headers["location"] == f"/console/issuers?done={done}"
    assert (await identity_calls.refresh_issuer(admin, url)).keys == ("k1", "k2")
    assert (await visitor.sent("/issuers/remove", issuer=url)).status_code == 303
    assert (await visitor.sent("/issuers/remove", issuer=url)).status_code == 404
    assert (await identity_calls.issuers(admin)).items == ()


async def test_signing_keys_are_rotated(visitor, admin):
    """The old one is retired, and still published."""
    await visitor.sent("/signing-keys/rotate")
    await visitor.sent("/signing-keys/rotate")
    found = await identity_calls.signing_keys(admin)
    page = (await visitor.page("/signing-keys")).text
    assert all(key.kid in page for key in found.items)
    assert page.count("chip retired") == len(found.items) - 1
    assert page.count("<td>yes</td>") == len(found.items)


async def test_long_lists_go_on_on_the_next_page(visitor, admin):
    """Each is seen once."""
    for number in range(53):
        await identity_calls.create_admin(
            admin, PersonDraft(name=f"p{number:02}", role="user", subject=f"s{number}")
        )
    first = (await visitor.page("/admins")).text
    onward = re.search(r'href="/console(/admins\?[^"]*cursor=[^"]+)"', first)[1]
    second = (await visitor.page(onward.replace("&amp;", "&"))).text
    assert (first.count("<td>user</td>"), second.count("<td>user</td>")) == (50, 3)
