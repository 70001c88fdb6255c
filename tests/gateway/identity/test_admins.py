"""Signing in and what it is good for: roles on every admin route, guessing slowed, no fixation."""

import httpx
import msgspec
import pytest

from chassis.server import serving
from gateway.control.app import control_plane
from gateway.control.client import admin_token
from gateway.identity.app import FORM_BYTES
from gateway.identity.pages import inside
from gateway.settings import ControlSettings, IdentitySettings


@pytest.fixture
def settings():
    own = IdentitySettings(logins="6/minute", token_requests="8/minute")
    return ControlSettings(identity=own)


@pytest.fixture
async def control(settings, tmp_path):
    async with serving(control_plane(settings, tmp_path)) as url:
        yield url


@pytest.fixture
async def browser(control):
    async with httpx.AsyncClient(base_url=control, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def api(browser, tmp_path):
    """`await api("POST", "/admins", token, **body)`; token None is the bootstrap's."""

    async def ask(method: str, path: str, token: str | None = None, /, **body: object):
        bearer = {"authorization": f"Bearer {token or admin_token(tmp_path)}"}
        raw = msgspec.json.encode(body) if body else b"{}"
        content = None if method == "GET" else raw
        return await browser.request(method, f"/admin/v1{path}", headers=bearer, content=content)

    return ask


async def sign_in(browser, name: str, password: str, next: str = "/oauth/login", **more):
    page = await browser.get("/oauth/login", params={"next": next})
    form = page.text.split('name="form" value="')[1].split('"')[0]
    said = {"form": form, "next": next, "name": name, "password": password, **more}
    return await browser.post("/oauth/login", data=said)


async def test_a_local_admin_signs_in_and_may_what_its_role_may(browser, api):
    """The cookie is an admin for the API too: reading plainly, writing with its CSRF token."""
    made = (await api("POST", "/admins", name="kim", role="support", reason="desk")).json()
    assert made["person"]["role"] == "support"
    assert len(made["password"]) >= 20
    reply = await sign_in(browser, "kim", made["password"], "/console/")
    assert (reply.status_code, reply.headers["location"]) == (303, "/console/")
    told = reply.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert (await browser.get("/admin/v1/me")).json() == {"name": "kim", "role": "support"}
    assert (await browser.get("/admin/v1/consumers")).status_code == 200
    for path in ("/admin/v1/audit", "/admin/v1/admins", "/admin/v1/signing-keys"):
        assert (await browser.get(path)).status_code == 403
    for headers in ({}, {"firmwire-csrf": "guessed"}):
        reply = await browser.post("/admin/v1/keys", json={"consumer": "operator"}, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")


async def test_every_way_to_be_wrong_looks_the_same(browser, api):
    """Name, password, disabled, a user of the identity provider, a wrong token."""
    made = (await api("POST", "/admins", name="kim", role="auditor")).json()
    await api("POST", "/admins", name="lee", role="auditor", subject="lee@firm.test")
    gone = (await api("POST", "/admins", name="max", role="auditor")).json()
    await api("POST", "/admins/max/disable", reason="left")
    shown = set()
    for name, password in (
        ("kim", made["password"] + "x"), ("nobody", made["password"]), ("lee", "x" * 20),
        ("max", gone["password"]), ("kim", "fwadm_wrong"),
    ):  # fmt: skip
        reply = await sign_in(browser, name, password)
        assert reply.status_code == 401
        assert "firmwire-session" not in reply.headers.get("set-cookie", "")
        shown.add(reply.text.split("<main>")[1].split('name="form"')[0])
    assert len(shown) == 1
    assert (await sign_in(browser, "kim", made["password"])).status_code == 303


async def test_guessing_is_slowed_and_said_so(browser, api):
    """The seventh try in a minute is a problem document with Retry-After, from one address
    whatever headers it sends; the token endpoint counts apart."""
    await api("POST", "/admins", name="kim", role="auditor")
    statuses = []
    for at in range(7):
        page = await browser.get("/oauth/login")
        form = page.text.split('name="form" value="')[1].split('"')[0]
        spoofed = {"x-forwarded-for": f"10.0.0.{at}", "firmwire-door": f"10.0.0.{at}||1|AAAA"}
        reply = await browser.post(
            "/oauth/login", data={"form": form, "name": "kim", "password": "x" * 12},
            headers=spoofed,
        )  # fmt: skip
        statuses.append(reply.status_code)
    assert statuses == [401] * 6 + [429]
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "rate_limited"
    assert 1 <= int(reply.headers["retry-after"]) <= 61
    tokens = [
        (await browser.post(path, data={"grant_type": "client_credentials"})).status_code
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] * 3
    ]
    assert tokens == [401] * 8 + [429]


async def test_a_planted_session_is_worth_nothing(browser, api, tmp_path):
    """Fixation: the cookie is another after signing in, and the one before is dead."""
    token = admin_token(tmp_path)
    assert (await sign_in(browser, "", token)).status_code == 303
    first = browser.cookies["firmwire-session"]
    assert (await sign_in(browser, "", token)).status_code == 303
    assert browser.cookies["firmwire-session"] != first
    assert (await browser.get("/admin/v1/me")).json()["role"] == "admin"
    browser.cookies.clear()
    reply = await browser.get("/admin/v1/me", headers={"cookie": f"firmwire-session={first}"})
    assert reply.status_code == 401


async def test_signing_out_and_a_form_from_elsewhere(browser, api, tmp_path):
    """A form without the page's own token neither signs in nor out."""
    token = admin_token(tmp_path)
    planted = await browser.post("/oauth/login", data={"password": token, "form": "x"})
    assert planted.status_code == 401
    await sign_in(browser, "", token)
    assert (await browser.post("/oauth/logout", data={"csrf": "x"})).status_code == 403
    assert (await browser.get("/admin/v1/me")).status_code == 200


async def test_nobody_makes_somebody_stronger(api):
    """An operator's token cannot make an admin, nor itself one; an auditor makes only auditors."""
    tokens = {}
    for role in ("operator", "auditor"):
        made = (await api("POST", "/admin-tokens", name=f"ci-{role}", role=role)).json()
        tokens[role] = made["secret"]
    for role, other, status in (
        ("operator", "admin", 403), ("operator", "operator", 201), ("auditor", "operator", 403),
        ("auditor", "auditor", 201), ("auditor", "admin", 403), ("auditor", "user", 201),
    ):  # fmt: skip
        reply = await api("POST", "/admin-tokens", tokens[role], name="more", role=other)
        assert reply.status_code == status, (role, other)
    for path in ("/admins", "/signing-keys/rotate"):
        reply = await api("POST", path, tokens["operator"], name="x", role="user", reason="")
        assert reply.status_code in (403, 422)
    reply = await api("POST", "/admins", tokens["operator"], name="x", role="user")
    assert reply.status_code == 403
    reply = await api("GET", "/me", tokens["operator"])
    assert reply.json()["role"] == "operator"


async def test_422_names_what_is_wrong(api):
    """A short password, a name twice, a client that could not work."""
    await api("POST", "/admins", name="kim", role="user")
    wrong = [
        await api("POST", "/admins", name="lee", role="user", password="short"),
        await api("POST", "/admins", name="kim", role="user"),
        await api("POST", "/clients", consumer="nobody"),
        await api("POST", "/clients", consumer="operator", method="private_key_jwt"),
        await api("POST", "/clients", consumer="operator", method="none"),
        await api("POST", "/clients", consumer="operator", grants=["authorization_code"]),
        *[
            await api(
                "POST", "/clients", consumer="operator", grants=["authorization_code"],
                redirect_uris=[uri],
            )
            for uri in ("http://portal.test/", "javascript:alert(1)", "https://a/#b", "https://*.a/")
        ],
    ]  # fmt: skip
    assert [reply.status_code for reply in wrong] == [422, 409, *[422] * 8]


async def test_a_form_is_read_to_a_bound(browser):
    """Too long, too many fields, another type: refused before anything is looked at."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for content, headers, status in (
        (b"a=" + b"x" * FORM_BYTES, kind, 413),
        (b"&".join(b"a=1" for _ in range(99)), kind, 400),
        (b"\xff\xfe", kind, 400),
        (b"{}", {"content-type": "application/json"}, 415),
    ):
        reply = await browser.post("/oauth/token", content=content, headers=headers)
        assert reply.status_code == status
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.test/", "//evil.test/", "/\\evil.test", "\\\\evil.test",
        "javascript:alert(1)", "/console/\r\nset-cookie: a=b", "/console/../../x", "",
        "/\t/evil.test", "/ä",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(address):
    """No open redirect: only paths of ours, else the console."""
    assert inside(address) == "/console/"
    assert (
        inside("/oauth/authorize?a=b&c=https%3A%2F%2Fx") == "/oauth/authorize?a=b&c=https%3A%2F%2Fx"
    )


async def test_a_consumer_with_clients_is_not_removed(api):
    """Its clients' history names it."""
    assert (await api("POST", "/clients", consumer="operator")).status_code == 201
    reply = await api("DELETE", "/consumers/operator")
    assert (reply.status_code, "1 clients" in reply.json()["detail"]) == (409, True)
