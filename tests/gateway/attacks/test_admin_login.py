"""Case 25: an admin signs in elsewhere; the answer is forged, replayed, mixed up or led astray."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from chassis import clock
from chassis.server import serving
from chassis.settings import Secret
from gateway.control.app import control_plane
from gateway.control.client import admin_token
from gateway.identity import sessions
from gateway.identity.jose import b64
from gateway.settings import ControlSettings, IdentitySettings

CLIENT, SECRET = "firmwire", "provider-secret-of-32-bytes-long"
COOKIE = sessions.cookie_name(secure=False)


class Liar:
    """An identity provider that says what the test wants; reads just enough HTTP."""

    def __init__(self):
        self.key, self.other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
        self.claims, self.header, self.signer = {}, {"alg": "ES256", "kid": "k1"}, self.key
        self.calls_itself = ""
        self.verifiers = []

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.issuer = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            body = (await reader.readexactly(int(length[1]))).decode() if length else ""
            told = json.dumps(self.answer(head.split(" ")[1], body)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(told), told)
            )
            await writer.drain()
        finally:
            writer.close()

    def answer(self, path, body):
        if "well-known" in path:
            return {
                "issuer": self.calls_itself or self.issuer, "jwks_uri": f"{self.issuer}/jwks",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
            }  # fmt: skip
        if path == "/jwks":
            return {"keys": [{**self.key.as_dict(private=False), "kid": "k1", "alg": "ES256"}]}
        self.verifiers += parse_qs(body).get("code_verifier", [])
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.token()}

    def token(self):
        now_s = int(clock.now().timestamp())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "boss", "iat": now_s, "exp": now_s + 300,
            **self.claims,
        }  # fmt: skip
        parts = (json.dumps(self.header).encode(), json.dumps(claims).encode())
        signed = b".".join(b64(part).encode() for part in parts)
        if self.header["alg"] == "none":
            return signed.decode() + "."
        if self.header["alg"] == "HS256":
            return f"{signed.decode()}.{b64(hmac.digest(SECRET.encode(), signed, 'sha256'))}"
        signature = JWSRegistry.algorithms["ES256"].sign(signed, self.signer)
        return f"{signed.decode()}.{b64(signature)}"


@pytest.fixture
async def liar():
    made = Liar()
    await made.start()
    yield made
    made.server.close()


@pytest.fixture
async def door(liar, tmp_path):
    """A control plane that sends its admins there; `boss` is an operator."""
    own = IdentitySettings(
        logins="1000/minute", oidc_issuer=liar.issuer, oidc_client_id=CLIENT,
        oidc_client_secret=Secret(SECRET),
    )  # fmt: skip
    settings = ControlSettings(identity=own)
    async with serving(control_plane(settings, tmp_path)) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            bearer = {"authorization": f"Bearer {admin_token(tmp_path)}"}
            for name, subject in (("boss", "boss"), ("deputy", "deputy@firm.example")):
                who = {"name": name, "role": "operator", "subject": subject}
                body = msgspec.json.encode(who)
                made = await http.post("/admin/v1/admins", content=body, headers=bearer)
                assert made.status_code == 201, made.text
        yield url


async def begun(http, next="/console/keys"):
    """The query the browser is sent away with."""
    away = await http.get("/oauth/oidc/begin", params={"next": next})
    assert away.status_code in (302, 303, 307), away.text
    query = parse_qs(urlsplit(away.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


def browser(url):
    return httpx.AsyncClient(base_url=url, trust_env=False)


async def came_back(http, **query):
    return await http.get("/oauth/oidc/callback", params={"code": "c", **query})


async def test_case_25_state_nonce_and_verifier_go_along(liar, door):
    """And a good answer signs in, once, with a session that was not there before."""
    async with browser(door) as http:
        http.cookies.set(COOKIE, "planted")
        sent = await begun(http)
        assert (sent["code_challenge_method"], len(sent["state"]) > 15) == ("S256", True)
        assert len(sent["nonce"]) > 15
        liar.claims = {"nonce": sent["nonce"]}
        inside = await came_back(http, state=sent["state"])
        assert (inside.status_code, inside.headers["location"]) == (303, "/console/keys")
        cookie = inside.headers["set-cookie"]
        assert COOKIE in cookie
        assert "planted" not in cookie
        assert "httponly" in cookie.lower()
        digest = hashlib.sha256(liar.verifiers[0].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == sent["code_challenge"]
        again = await came_back(http, state=sent["state"])
        assert again.status_code == 401


async def test_case_25_an_answer_nobody_asked_for_signs_nobody_in(liar, door):
    """No state, another's, another browser's: the same refusal, and no session."""
    async with browser(door) as victim, browser(door) as thief:
        mine, theirs = await begun(victim), await begun(thief)
        liar.claims = {"nonce": theirs["nonce"]}
        for state in (theirs["state"], "", "x", mine["state"][:-1]):
            refused = await came_back(victim, state=state)
            assert refused.status_code == 401
            assert COOKIE not in refused.headers.get("set-cookie", "")
    async with browser(door) as nobody:
        assert (await came_back(nobody, state=mine["state"])).status_code == 401


LIES = {
    "another nonce": ({"nonce": "x"}, {}), "no nonce": ({"nonce": None}, {}),
    "another issuer": ({"iss": "https://evil.test"}, {}), "another client": ({"aud": "evil"}, {}),
    "expired": ({"exp": 1}, {}), "no expiry": ({"exp": None}, {}), "no issuer": ({"iss": None}, {}),
    "none": ({}, {"alg": "none"}), "HS256": ({}, {"alg": "HS256"}), "another key": ({}, {}),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
async def test_case_25_a_token_that_does_not_hold_signs_nobody_in(liar, door, lie):
    """Nonce, issuer, audience, time, algorithm and key are all asked for."""
    claims, header = LIES[lie]
    async with browser(door) as http:
        sent = await begun(http)
        liar.claims = {"nonce": sent["nonce"], **claims}
        liar.header = {**liar.header, **header}
        liar.signer = liar.other if lie == "another key" else liar.key
        refused = await came_back(http, state=sent["state"])
        assert refused.status_code == 401, refused.text
        assert COOKIE not in refused.headers.get("set-cookie", "")
        assert "evil" not in refused.text


async def test_case_25_a_provider_that_calls_itself_another_is_not_asked(liar, door):
    """Mix-up: who answers must be who was meant."""
    liar.calls_itself = "https://evil.test"
    async with browser(door) as http:
        assert (await http.get("/oauth/oidc/begin")).status_code == 503


async def test_case_25_somebody_the_provider_knows_is_nobody_here(liar, door):
    """Known there is not a role here; an address it did not verify is no name."""
    for claims in ({"sub": "stranger"}, {"sub": "x", "email": "boss"},
                   {"sub": "deputy@firm.example"},
                   {"sub": "x", "email": "boss", "email_verified": "true"}):  # fmt: skip
        async with browser(door) as http:
            sent = await begun(http)
            liar.claims = {"nonce": sent["nonce"], **claims}
            refused = await came_back(http, state=sent["state"])
            assert refused.status_code == 403
            assert COOKIE not in refused.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.test/", "//evil.test/", "/\\evil.test", "\\\\evil.test",
        "javascript:alert(1)", "/console/../../evil", "/\t/evil.test", "https:evil.test",
        " //evil.test",
        "/%0d%0aX: 1\r\n",
    ],
)  # fmt: skip
async def test_case_25_after_signing_in_nobody_is_led_away(liar, door, next):
    """Whatever `next` says, one ends up in the house."""
    async with browser(door) as http:
        sent = await begun(http, next)
        liar.claims = {"nonce": sent["nonce"]}
        inside = await came_back(http, state=sent["state"])
        assert (inside.status_code, inside.headers["location"]) == (303, "/console/")


async def test_case_25_a_cookie_alone_changes_nothing(liar, door):
    """Another site's page can send the cookie along, and no more."""
    async with browser(door) as http:
        sent = await begun(http)
        liar.claims = {"nonce": sent["nonce"]}
        await came_back(http, state=sent["state"])
        assert (await http.get("/admin/v1/me")).status_code == 200
        evil = {"origin": "https://evil.test", "content-type": "text/plain"}
        for method, path in (
            ("POST", "keys"), ("PUT", "consumers/x"), ("PUT", "plans/x"), ("POST", "clients"),
            ("POST", "admin-tokens"), ("DELETE", "plans/x"),
        ):  # fmt: skip
            for headers in (evil, {"firmwire-csrf": ""}, {"firmwire-csrf": "x" * 43}):
                asked = await http.request(
                    method, f"/admin/v1/{path}", content=b"{}", headers=headers
                )
                assert asked.status_code == 403, (method, path)
        assert (await http.post("/oauth/logout", data={"csrf": "x"})).status_code == 403
        forged = {"name": "boss", "password": "x", "form": "x"}
        assert (await http.post("/oauth/login", data=forged)).status_code == 401
