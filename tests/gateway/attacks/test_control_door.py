"""Cases 12 to 14, 17 and 22: the admin's door, whoever knocks, and where we may be sent."""

import re

import msgspec
import pytest
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler

from gateway import tokens
from gateway.control.app import control_plane
from gateway.control.client import admin_token
from gateway.routes import Upstream
from gateway.settings import ControlSettings, GatewaySettings

INSIDE = (
    "/admin/v1/keys", "/admin/v1/plans", "/snapshot?after=0", "/usage", "/console", "/console/keys",
    "/metrics", "/ready", "/health", "/schema", "/docs",
)  # fmt: skip
OPEN = re.compile(
    r"/(health|ready|metrics|leaked-keys|console/(sign-in|static).*|oauth|\.well-known)"
)


async def test_case_12_the_public_port_has_no_way_to_the_admins(plane, http, tmp_path):
    """Not by name, not by a walk from the doors that lead to the control plane."""
    token = admin_token(tmp_path)
    walks = [*INSIDE, *(f"/oauth/..{path}" for path in INSIDE), "/oauth/%2e%2e/admin/v1/keys",
             "/oauth//admin/v1/keys", "/.well-known/../admin/v1/keys", "/oauth/admin/v1/keys",
             "/.well-known/..%2fadmin/v1/keys", "/OAUTH/../admin/v1/keys"]  # fmt: skip
    for path in walks:
        for headers in ({}, {"authorization": f"Bearer {token}"}, {"x-original-url": path}):
            request = http.build_request("GET", f"http://127.0.0.1:{plane}/", headers=headers)
            request.extensions["target"] = path.encode()
            reply = await http.send(request)
            assert reply.status_code in (400, 401, 404), (path, headers)


async def test_case_12_a_route_back_to_the_control_plane_gives_no_admin(
    gate, control, http, tmp_path
):
    """Should somebody make one: a caller's key is not an admin, and its token does not travel."""
    gate.urls = (control,)
    gate.route = {"prefix": "/admin/v1"}
    gate.publish()
    token = admin_token(tmp_path)
    assert (await gate.ask("GET", "/admin/v1/keys")).status == 401
    assert (await gate.ask("GET", "/admin/v1/keys", key=token)).status == 401
    sneaky = {
        "Cookie": f"firmwire={token}",
        "Firmwire_Identity": token,
        "Proxy_Authorization": token,
    }
    assert (await gate.ask("GET", "/admin/v1/keys", **sneaky)).status == 401


def test_case_12_inner_doors_listen_on_this_machine_only():
    """Unless somebody says otherwise."""
    assert ControlSettings().host == "127.0.0.1"
    assert GatewaySettings().internal_host == "127.0.0.1"


async def test_case_13_every_route_of_the_control_plane_asks_who_is_there(control, http, tmp_path):
    """Each there is, with each of its methods, on the socket, without and with a wrong token."""
    app = control_plane(ControlSettings(), tmp_path).litestar
    asked = 0
    for route in app.routes:
        path = re.sub(r"\{[^}]+\}", "x", route.path)
        if OPEN.match(path):
            continue
        handlers = getattr(route, "route_handlers", None) or (route.route_handler,)
        for handler in handlers:
            assert not isinstance(handler, ASGIRouteHandler), path
            if not isinstance(handler, HTTPRouteHandler):
                continue
            for method in handler.http_methods - {"OPTIONS"}:
                planes = f"Bearer {tokens.data_plane(tmp_path)}"
                for bearer in ("", "Bearer x", planes):
                    if bearer == planes and path in ("/snapshot", "/usage"):
                        continue
                    headers = {"authorization": bearer} if bearer else {}
                    reply = await http.request(
                        method, control + path, headers=headers, content=b"{}"
                    )
                    asked += 1
                    page = path.startswith("/console")
                    assert reply.status_code in ((303, 401, 403) if page else (401,)), (
                        method,
                        path,
                    )
    assert asked > 100


async def test_case_14_a_delegated_admin_makes_nobody_stronger(control, http, admin, tmp_path):
    """Every role asks for every role: only what it covers is made, by token and by person."""
    boss = {"authorization": f"Bearer {admin_token(tmp_path)}"}
    roles = ("operator", "auditor", "support")
    secrets = {}
    for role in roles:
        body = msgspec.json.encode({"name": f"robot-{role}", "role": role, "reason": "test"})
        made = await http.post(f"{control}/admin/v1/admin-tokens", content=body, headers=boss)
        assert made.status_code == 201, made.text
        secrets[role] = made.json()["secret"]
    for role in roles:
        mine = {"authorization": f"Bearer {secrets[role]}"}
        for wanted in ("admin", *(set(roles) - {role})):
            for path in ("admin-tokens", "admins"):
                body = msgspec.json.encode(
                    {"name": f"more-{wanted}", "role": wanted, "reason": "x"}
                )
                reply = await http.post(f"{control}/admin/v1/{path}", content=body, headers=mine)
                covered = role == "operator" and wanted == "support" and path == "admin-tokens"
                assert reply.status_code == (201 if covered else 403), (role, wanted, path)
    weak = {"authorization": f"Bearer {secrets['auditor']}"}
    for method, path in (
        ("POST", "keys"), ("PUT", "plans/internal"), ("PUT", "consumers/acme"), ("PUT", "issuers"),
        ("POST", "signing-keys/rotate"), ("POST", "clients"),
    ):  # fmt: skip
        url = f"{control}/admin/v1/{path}"
        assert (await http.request(method, url, content=b"{}", headers=weak)).status_code == 403


async def test_case_14_a_key_never_may_more_than_its_plan(control, http, admin, tmp_path):
    """Not when it is made, not when it is rotated, not by a wildcard of another tier."""
    await admin.set_consumer("small", "partner")
    boss = {"authorization": f"Bearer {admin_token(tmp_path)}"}
    for scopes in (
        ["system:*"],
        ["process:*"],
        ["*"],
        ["*:*"],
        ["process:time:read", "system:read"],
    ):
        body = msgspec.json.encode({"consumer": "small", "scopes": scopes, "reason": "x"})
        reply = await http.post(f"{control}/admin/v1/keys", content=body, headers=boss)
        assert reply.status_code in (400, 422), scopes


SSRF = (
    "http://169.254.169.254/latest/meta-data", "https://169.254.169.254/", "https://[fe80::1]/",
    "https://[::]/", "https://0.0.0.0/", "http://127.0.0.1:1/", "https://localhost/", "file:///etc/passwd",
    "gopher://127.0.0.1/", "https://user@127.0.0.1/", "https://[::ffff:169.254.169.254]/",
    "https://[::1]/", "https://2130706433/", "https://0x7f.1/",
)  # fmt: skip


@pytest.mark.parametrize("url", SSRF)
async def test_case_17_an_issuers_address_leads_nowhere_inside(control, http, admin, tmp_path, url):
    """Neither this machine nor what only it can reach is asked for keys."""
    boss = {"authorization": f"Bearer {admin_token(tmp_path)}"}
    draft = {
        "issuer": "https://issuer.test", "audience": "a", "consumer": "acme", "jwks_uri": url,
        "reason": "x",
    }  # fmt: skip
    body = msgspec.json.encode(draft)
    reply = await http.put(f"{control}/admin/v1/issuers", content=body, headers=boss)
    assert reply.status_code in (400, 422), reply.text
    assert "meta-data" not in reply.text or "169.254.169.254" not in reply.json().get("detail", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254", "https://[fe80::1]:8443", "http://0.0.0.0:80", "http://[::]:80",
        "http://[::ffff:169.254.169.254]", "http://224.0.0.1", "file:///etc/passwd", "ftp://host",
        "http://user:pass@host", "http://host/path", "http://host?x", "http://", "unix:///sock",
    ],
)  # fmt: skip
def test_case_17_no_upstream_is_a_strange_place(url):
    """Metadata services, wildcards and other schemes are refused with the snapshot."""
    with pytest.raises(ValueError, match=r"urls: "):
        Upstream(name="system", urls=(url,))
    raw = msgspec.json.encode({"name": "system", "urls": [url]})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=Upstream)


async def test_case_17_a_redirect_is_the_callers_to_follow(gate, upstream):
    """What a tier says about another address is passed on, never visited."""

    async def away(seen, writer):
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        )
        return True

    upstream.answer = away
    answered = await gate.ask()
    assert (answered.status, answered.headers["location"]) == (302, "http://169.254.169.254/")
    assert len(upstream.seen) == 1


async def test_case_22_no_route_is_without_a_limit_by_omission(gate):
    """A route that says nothing of limits has one, for callers and for anybody."""
    gate.plan = gate.plan.__class__(name="gold", scopes=("system:*",))
    for route in (
        {"policies": {"authenticate": {}, "authorise": {"scope": "system"}}},
        {"public": True, "policies": {"size_limit": {}}},
    ):
        gate.route = route
        gate.publish()
        assert (await gate.ask()).headers["ratelimit-policy"].startswith('"default"')
        last = gate.request(Connection="close")
        seen = await gate.raw(gate.request() * 400 + last, wait_s=20)
        assert seen.count(b"HTTP/1.1 429 ") > 50
    assert not msgspec.structs.asdict(gate.plan)["limits"]
