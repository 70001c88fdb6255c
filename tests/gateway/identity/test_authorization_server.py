"""The authorization server over real HTTP, through control plane and data plane: whoever holds
what, gets what it should, and what ended is dead on every worker at once."""

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey

from chassis import clock
from chassis.server import serving
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.dataplane.listeners import Tls
from gateway.identity.jose import b64
from gateway.settings import ControlSettings, IdentitySettings

ISSUER = "https://api.firm.test"
BACK = "https://portal.test/back"


@pytest.fixture
def control_settings(upstream, unused_tcp_port):
    own = IdentitySettings(token_requests="1000/minute", logins="1000/minute")
    return ControlSettings(
        system_url=f"http://127.0.0.1:{upstream.port}", issuer_url=ISSUER, identity=own,
        port=unused_tcp_port,
    )  # fmt: skip


@pytest.fixture
async def control(control_settings, tmp_path):
    service = control_plane(control_settings, tmp_path)
    async with serving(service, port=control_settings.port) as url:
        yield url


class Admin:
    """The admin API, raw."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: str) -> None:
        self.http, self.url = http, url
        self.headers = {"authorization": f"Bearer {token}"}

    async def post(self, path: str, **body: object) -> httpx.Response:
        raw = msgspec.json.encode(body)
        return await self.http.post(f"{self.url}/admin/v1{path}", content=raw, headers=self.headers)

    async def made(self, path: str, **body: object) -> dict:
        reply = await self.post(path, **body)
        assert reply.status_code in (200, 201), reply.text
        return reply.json()


@pytest.fixture
async def http():
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
async def admin(control, tmp_path, http):
    token = admin_token(tmp_path)
    async with ControlClient(control, token) as client:
        await client.set_consumer("acme", "internal")
    return Admin(http, control, token)


@pytest.fixture
async def plane(control, admin, tmp_path, Plane):
    async with Plane(tmp_path, control) as plane:
        while plane.worker.snapshot.version <= 0 or not plane.worker.snapshot.issuers:
            await asyncio.sleep(0.005)
        yield plane


@pytest.fixture
def call(plane, http):
    """`await call(token)` -> status of a call through the data plane."""

    async def status(token: str, **headers: str) -> int:
        url = f"http://127.0.0.1:{plane.port}/system/v1/x"
        given = {"authorization": f"Bearer {token}", **headers}
        return (await http.get(url, headers=given)).status_code

    return status


async def until(condition, within_s: float = 10.0) -> None:
    ends_s = clock.monotonic() + within_s
    while not await condition():
        assert clock.monotonic() < ends_s, "the condition did not come true in time"
        await asyncio.sleep(0.01)


def claims(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_client_credentials_in_one_call_through_the_public_door(admin, plane, http, call):
    """A partner's whole way: discover, get a token, use it; all at the data plane's port."""
    made = await admin.made("/clients", consumer="acme", scopes=["system:read", "process:*"])
    door = f"http://127.0.0.1:{plane.port}"
    found = (await http.get(f"{door}/.well-known/oauth-authorization-server")).json()
    assert (found["issuer"], found["token_endpoint"]) == (ISSUER, f"{ISSUER}/oauth/token")
    id, secret = made["client"]["id"], made["secret"]
    reply = await http.post(
        f"{door}/oauth/token", auth=(id, secret), data={"grant_type": "client_credentials"}
    )
    assert reply.status_code == 200, reply.text
    token = reply.json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == (
        "Bearer", 600, "process:* system:read",
    )  # fmt: skip
    said = claims(token["access_token"])
    assert (said["iss"], said["aud"], said["sub"], said["client_id"]) == (ISSUER, ISSUER, id, id)
    assert reply.headers["cache-control"] == "no-store"

    async def works() -> bool:
        return await call(token["access_token"]) == 200

    await until(works)
    keys = (await http.get(f"{door}/oauth/jwks")).json()["keys"]
    assert [set(key) for key in keys] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}]


@pytest.fixture
def token_of(control, http):
    """`await token_of(client_id, secret, scope=...)` at the control plane's own port."""

    async def ask(id: str, secret: str | None, **form: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", **form}
        auth = (id, secret) if secret is not None else None
        return await http.post(f"{control}/oauth/token", auth=auth, data=form)

    return ask


async def test_a_client_is_nobody_in_one_way_only(admin, token_of, control, http):
    """Unknown, wrong secret, revoked, another method, a public client, two ways at once."""
    made = await admin.made("/clients", consumer="acme")
    gone = await admin.made("/clients", consumer="acme")
    await admin.made(f"/clients/{gone['client']['id']}/revoke")
    id, secret = made["client"]["id"], made["secret"]
    assert (await token_of(id, secret)).status_code == 200
    wrong = [
        await token_of("client_unknown", secret),
        await token_of(id, secret + "x"),
        await token_of(gone["client"]["id"], gone["secret"]),
        await token_of(id, None, client_id=id, client_secret=secret),
        await token_of(id, None, client_id=id),
        await token_of(id, secret, client_id=gone["client"]["id"]),
        await token_of("", ""),
    ]
    assert {(one.status_code, one.text) for one in wrong} == {(401, wrong[0].text)}
    assert wrong[0].json()["error"] == "invalid_client"
    both = await token_of(id, secret, client_secret=secret)
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    twice = "grant_type=client_credentials&scope=system:read&scope=system:read"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    reply = await http.post(
        f"{control}/oauth/token", content=twice, headers=kind, auth=(id, secret)
    )
    assert reply.json()["error"] == "invalid_request"


async def test_a_token_never_may_more_than_client_and_plan(admin, token_of):
    """A scope beyond either is refused, not silently left out."""
    made = await admin.made("/clients", consumer="acme", scopes=["system:read"])
    id, secret = made["client"]["id"], made["secret"]
    assert (await token_of(id, secret, scope="system:read")).json()["scope"] == "system:read"
    for scope in ("process:time:read", "system:read process:time:read", "gateway:admin", "*"):
        reply = await token_of(id, secret, scope=scope)
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_scope")


async def test_a_client_proves_itself_by_its_key(admin, control, http, maker):
    """private_key_jwt: once, for us, for now, by its own key."""
    key = maker.key
    made = await admin.made("/clients", consumer="acme", method="private_key_jwt", keys=[maker.jwk])
    id = made["client"]["id"]
    assert made["secret"] == ""
    base = {"iss": id, "sub": id, "aud": f"{ISSUER}/oauth/token", "exp": maker.now_s + 60}

    async def ask(signer=key, header=None, **more) -> int:
        body = {**base, "jti": secrets.token_hex(8), **more}
        head = {"alg": "ES256", "kid": "k1", **(header or {})}
        assertion = maker.raw(head, body, signer).decode()
        return await send(assertion)

    async def send(assertion: str) -> int:
        form = {
            "grant_type": "client_credentials", "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }  # fmt: skip
        return (await http.post(f"{control}/oauth/token", data=form)).status_code

    assert await ask() == 200
    once = maker.raw({"alg": "ES256", "kid": "k1"}, {**base, "jti": "one"}, key).decode()
    assert [await send(once), await send(once)] == [200, 401]
    for wrong in (
        {"aud": "https://other.test"}, {"sub": "client_other"}, {"iss": "client_other"},
        {"exp": maker.now_s - 1}, {"exp": maker.now_s + 4000}, {"exp": "soon"}, {"jti": ""},
        {"signer": maker.other}, {"header": {"alg": "none"}}, {"header": {"kid": "k2"}},
    ):  # fmt: skip
        assert await ask(**wrong) == 401, wrong


async def test_a_bound_clients_tokens_are_bound(admin, control, http, token_of, call, maker, plane):
    """DPoP from the token endpoint to the tier: without the key, nothing."""
    made = await admin.made("/clients", consumer="acme", bound="dpop")
    id, secret = made["client"]["id"], made["secret"]
    key = ECKey.generate_key("P-256")
    refused = await token_of(id, secret)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    proof = maker.proof(None, key, htm="POST", htu=f"{ISSUER}/oauth/token").decode()
    reply = await http.post(
        f"{control}/oauth/token", auth=(id, secret), headers={"DPoP": proof},
        data={"grant_type": "client_credentials"},
    )  # fmt: skip
    assert reply.json()["token_type"] == "DPoP"
    token = reply.json()["access_token"]
    assert claims(token)["cnf"] == {"jkt": key.thumbprint()}
    htu = f"http://127.0.0.1:{plane.port}/system/v1/x"

    async def works() -> bool:
        fresh = maker.proof(token.encode(), key, htu=htu).decode()
        return await call("", authorization=f"DPoP {token}", DPoP=fresh) == 200

    await until(works)
    assert await call(token) == 401


async def test_what_is_revoked_is_dead_on_the_data_plane(admin, control, http, token_of, call):
    """One token by its holder; all of a client's by an admin; each within a second."""
    made = await admin.made("/clients", consumer="acme")
    other = await admin.made("/clients", consumer="acme")
    auth = (made["client"]["id"], made["secret"])
    tokens = [(await token_of(*auth)).json()["access_token"] for _ in range(2)]

    async def alive(token: str) -> bool:
        return await call(token) == 200

    async def dead(token: str) -> bool:
        return await call(token) == 401

    for token in tokens:
        await until(lambda token=token: alive(token))
    shown = await http.post(f"{control}/oauth/introspect", auth=auth, data={"token": tokens[0]})
    assert (shown.json()["active"], shown.json()["client_id"]) == (True, auth[0])
    foreign = (other["client"]["id"], other["secret"])
    for who, left in ((foreign, 200), (auth, 401)):
        reply = await http.post(f"{control}/oauth/revoke", auth=who, data={"token": tokens[0]})
        assert reply.status_code == 200
        if left == 401:
            await until(lambda: dead(tokens[0]), 5.0)
        assert await call(tokens[0]) == left
    shown = await http.post(f"{control}/oauth/introspect", auth=auth, data={"token": tokens[0]})
    assert shown.json() == {"active": False}
    assert (
        await http.post(f"{control}/oauth/introspect", data={"token": tokens[1]})
    ).status_code == 401
    assert await call(tokens[1]) == 200
    await admin.made(f"/clients/{auth[0]}/revoke", reason="left")
    await until(lambda: dead(tokens[1]), 5.0)


async def test_keys_rotate_and_old_tokens_live_on(admin, control, http, token_of, call):
    """The new key signs, the old one stays published."""
    made = await admin.made("/clients", consumer="acme")
    auth = (made["client"]["id"], made["secret"])
    before = (await token_of(*auth)).json()["access_token"]
    await admin.made("/signing-keys/rotate", reason="yearly")
    after = (await token_of(*auth)).json()["access_token"]
    kids = [
        json.loads(base64.urlsafe_b64decode(t.split(".")[0] + "=="))["kid"] for t in (before, after)
    ]
    listed = [key["kid"] for key in (await http.get(f"{control}/oauth/jwks")).json()["keys"]]
    assert (kids[0] != kids[1], set(listed)) == (True, set(kids))

    async def both() -> bool:
        return [await call(token) for token in (before, after)] == [200, 200]

    await until(both)


async def test_a_client_proves_itself_by_its_certificate(
    admin, plane, control, certificates, http, upstream
):
    """RFC 8705 through the data plane: the certificate proves the client and binds its tokens;
    whoever only says so, to either plane, is nobody."""
    tls = Tls(
        certificate=str(certificates / "server.pem"),
        private_key=str(certificates / "server.key"),
        client_ca=str(certificates / "ca.pem"),
        client_certificates="optional",
    )
    plane.worker._listener.close()
    port = await plane.worker.listen("127.0.0.1", 0, tls)
    der = ssl.PEM_cert_to_DER_cert((certificates / "partner.pem").read_text())
    thumbprint = b64(hashlib.sha256(der).digest())
    made = await admin.made(
        "/clients", consumer="acme", method="self_signed_tls_client_auth", bound="mtls",
        certificate=thumbprint,
    )  # fmt: skip
    id, door = made["client"]["id"], f"https://127.0.0.1:{port}"

    def caller(name: str | None) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=str(certificates / "server.pem"))
        if name:
            context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        return httpx.AsyncClient(verify=context, trust_env=False, timeout=10)

    form = {"grant_type": "client_credentials", "client_id": id}
    async with caller("partner") as partner, caller("thief") as thief, caller(None) as nobody:
        for who in (thief, nobody):
            for headers in ({}, {"firmwire-door": f"127.0.0.1|{thumbprint}||1|AAAA"}):
                reply = await who.post(f"{door}/oauth/token", data=form, headers=headers)
                assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
        now_s = int(clock.now().timestamp())
        said = {"firmwire-door": f"127.0.0.1|{thumbprint}||{now_s}|{'A' * 43}"}
        assert (
            await http.post(f"{control}/oauth/token", data=form, headers=said)
        ).status_code == 401
        reply = await partner.post(f"{door}/oauth/token", data=form)
        assert reply.status_code == 200, reply.text
        token = reply.json()["access_token"]
        assert claims(token)["cnf"] == {"x5t#S256": thumbprint}
        bearer = {"authorization": f"Bearer {token}"}

        async def works() -> bool:
            return (await partner.get(f"{door}/system/v1/x", headers=bearer)).status_code == 200

        await until(works)
        for who in (thief, nobody):
            assert (await who.get(f"{door}/system/v1/x", headers=bearer)).status_code == 401
    assert upstream.seen[-1].header("firmwire-door") == []


# People.


class Page:
    """A browser's worth of one page: its form's hidden fields."""

    def __init__(self, reply: httpx.Response) -> None:
        self.reply = reply

    def field(self, name: str) -> str:
        return self.reply.text.split(f'name="{name}" value="')[1].split('"')[0]


@pytest.fixture
async def kim(admin):
    """Somebody who may nothing here but consent."""
    made = await admin.made("/admins", name="kim", role="user")
    return made["password"]


@pytest.fixture
async def browser(control):
    async with httpx.AsyncClient(base_url=control, trust_env=False, timeout=10) as client:
        yield client


async def sign_in(browser, name: str, password: str, next: str = "/oauth/me") -> httpx.Response:
    page = Page(await browser.get("/oauth/login", params={"next": next}))
    form = {"form": page.field("form"), "next": next, "name": name, "password": password}
    return await browser.post("/oauth/login", data=form)


@pytest.fixture
def granted(admin, browser, kim):
    """`await granted(client)` -> code and verifier, after a real consent."""

    async def ask(id: str, *, decision: str = "allow", **more: str) -> tuple[dict, str]:
        verifier = secrets.token_urlsafe(48)
        challenge = b64(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "response_type": "code", "client_id": id, "redirect_uri": BACK, "state": "s1",
            "scope": "system:read", "code_challenge": challenge, "code_challenge_method": "S256",
            **more,
        }  # fmt: skip
        where = f"/oauth/authorize?{urlencode(asked)}"
        reply = await browser.get(where)
        if reply.status_code == 303:
            back = parse_qs(urlsplit(reply.headers["location"]).query)["next"][0]
            reply = await sign_in(browser, "kim", kim, back)
            assert (reply.status_code, reply.headers["location"]) == (303, where)
            reply = await browser.get(where)
        assert reply.status_code == 200, reply.text
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        form = {"csrf": Page(reply).field("csrf"), "decision": decision}
        reply = await browser.post(where, data=form)
        assert reply.status_code == 302, reply.text
        assert reply.headers["location"].startswith(f"{BACK}?")
        answer = {k: v[0] for k, v in parse_qs(urlsplit(reply.headers["location"]).query).items()}
        assert (answer["state"], answer["iss"]) == ("s1", ISSUER)
        return answer, verifier

    return ask


@pytest.fixture
async def portal(admin):
    made = await admin.made(
        "/clients", consumer="acme", name="Portal", method="none", redirect_uris=[BACK],
        grants=["authorization_code", "refresh_token"],
    )  # fmt: skip
    return made["client"]["id"]


def exchange(http, control, id: str, code: str, verifier: str, **more: str):
    form = {
        "grant_type": "authorization_code", "client_id": id, "code": code, "redirect_uri": BACK,
        "code_verifier": verifier, **more,
    }  # fmt: skip
    return http.post(f"{control}/oauth/token", data={k: v for k, v in form.items() if v})


def refresh(http, control, id: str, token: str, **more: str):
    form = {"grant_type": "refresh_token", "client_id": id, "refresh_token": token, **more}
    return http.post(f"{control}/oauth/token", data=form)


async def test_a_person_grants_and_a_stolen_refresh_token_ends_it_all(
    portal, granted, control, http, call
):
    """Code and PKCE; rotation; the second use of one refresh token kills the whole family."""
    answer, verifier = await granted(portal)
    first = (await exchange(http, control, portal, answer["code"], verifier)).json()
    said = claims(first["access_token"])
    assert (said["client_id"], said["scope"]) == (portal, "system:read")
    assert said["sub"].startswith("person_")
    second = (await refresh(http, control, portal, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]

    async def alive() -> bool:
        return await call(second["access_token"]) == 200

    await until(alive)
    wider = await refresh(http, control, portal, second["refresh_token"], scope="process:time:read")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    mistaken = second["refresh_token"]
    second = (await refresh(http, control, portal, mistaken)).json()  # a mistake is no theft
    stolen = await refresh(http, control, portal, first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")

    async def dead() -> bool:
        return await call(second["access_token"]) == 401

    await until(dead, 5.0)
    last = await refresh(http, control, portal, second["refresh_token"])
    assert (last.status_code, last.json()["error"]) == (400, "invalid_grant")


async def test_a_code_used_twice_ends_what_came_of_it(portal, granted, control, http, call):
    """RFC 6749 section 4.1.2."""
    answer, verifier = await granted(portal)
    made = (await exchange(http, control, portal, answer["code"], verifier)).json()

    async def alive() -> bool:
        return await call(made["access_token"]) == 200

    await until(alive)
    again = await exchange(http, control, portal, answer["code"], verifier)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")

    async def dead() -> bool:
        return await call(made["access_token"]) == 401

    await until(dead, 5.0)


async def test_a_code_is_for_its_client_its_address_and_its_verifier(
    portal, granted, admin, control, http
):
    """Each wrong once; the code is not a code for anybody else."""
    other = await admin.made(
        "/clients", consumer="acme", method="none", redirect_uris=[BACK],
        grants=["authorization_code"],
    )  # fmt: skip
    for more in (
        {"code_verifier": secrets.token_urlsafe(48)}, {"code_verifier": ""},
        {"redirect_uri": BACK + "/"}, {"redirect_uri": ""},
    ):  # fmt: skip
        answer, verifier = await granted(portal)
        reply = await exchange(http, control, portal, answer["code"], verifier, **more)
        assert reply.status_code == 400
        assert reply.json()["error"] in ("invalid_grant", "invalid_request")
    answer, verifier = await granted(portal)
    reply = await exchange(http, control, other["client"]["id"], answer["code"], verifier)
    assert reply.status_code == 400
    assert (await exchange(http, control, portal, answer["code"], verifier)).status_code == 200


async def test_what_is_denied_is_denied(portal, granted):
    """The client hears access_denied."""
    answer, _ = await granted(portal, decision="deny")
    assert answer["error"] == "access_denied"
    assert "code" not in answer


async def test_only_told_addresses_are_redirected_to(portal, granted, browser, kim):
    """No open redirect: a wrong client or address is answered here; PKCE is no choice."""
    await sign_in(browser, "kim", kim)
    base = {
        "response_type": "code", "client_id": portal, "redirect_uri": BACK,
        "code_challenge": "a" * 43, "code_challenge_method": "S256",
    }  # fmt: skip
    for wrong in (
        {"redirect_uri": "https://evil.test/"}, {"redirect_uri": BACK + ".evil.test"},
        {"redirect_uri": BACK + "?x=1"}, {"client_id": "client_unknown"}, {"redirect_uri": ""},
        {"redirect_uri": "https://portal.test:444/back"},
    ):  # fmt: skip
        reply = await browser.get(f"/oauth/authorize?{urlencode({**base, **wrong})}")
        assert (400 <= reply.status_code < 500, "location" in reply.headers) == (True, False), wrong
    for wrong, error in (
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "gateway:admin"}, "invalid_scope"),
    ):
        asked = {k: v for k, v in {**base, **wrong}.items() if v}
        reply = await browser.get(f"/oauth/authorize?{urlencode(asked)}")
        assert reply.headers["location"].startswith(BACK), (wrong, reply.text)
        assert parse_qs(urlsplit(reply.headers["location"]).query)["error"] == [error]


async def test_a_consent_needs_the_page_it_was_given_on(portal, browser, kim):
    """Without the CSRF token, or with another session's: nothing is granted."""
    await sign_in(browser, "kim", kim)
    asked = {
        "response_type": "code", "client_id": portal, "redirect_uri": BACK,
        "code_challenge": "a" * 43, "code_challenge_method": "S256",
    }  # fmt: skip
    where = f"/oauth/authorize?{urlencode(asked)}"
    for csrf in ({}, {"csrf": ""}, {"csrf": "x" * 32}):
        reply = await browser.post(where, data={"decision": "allow", **csrf})
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")


async def test_a_disabled_person_grants_nothing_more(portal, granted, admin, control, http):
    """Neither a new token from an old grant, nor a page."""
    answer, verifier = await granted(portal)
    made = (await exchange(http, control, portal, answer["code"], verifier)).json()
    await admin.made("/admins/kim/disable", reason="left")
    reply = await refresh(http, control, portal, made["refresh_token"])
    assert reply.status_code == 400
