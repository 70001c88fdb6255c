"""What attackers meet: a control plane, a data plane fed by it, and tokens of every wrong kind."""

import asyncio
import hashlib
import json

import httpx
import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from chassis import clock, identity
from chassis.discovery import plugs
from chassis.server import serving
from contracts.ids import uuid7
from gateway import keys, tokens
from gateway.control.app import control_plane
from gateway.control.client import ControlClient, admin_token
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.worker import Worker
from gateway.identity.jose import b64
from gateway.policy import Policy
from gateway.settings import ControlSettings, Limits
from gateway.snapshot import Client, Issuer, Shelf


@pytest.fixture
async def control(upstream, tmp_path):
    """URL of a running control plane."""
    settings = ControlSettings(system_url=f"http://127.0.0.1:{upstream.port}")
    async with serving(control_plane(settings, tmp_path)) as url:
        yield url


@pytest.fixture
async def admin(control, tmp_path):
    async with ControlClient(control, admin_token(tmp_path)) as client:
        await client.set_consumer("acme", "internal")
        yield client


@pytest.fixture
async def http():
    """A client that follows nothing and believes no proxy."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
async def plane(control, admin, tmp_path):
    """Port of a data plane that has its first snapshot."""
    identity.ensure(tmp_path)
    worker = Worker(
        limits=Limits(drain_s=0.1),
        peppers=keys.peppers(tmp_path),
        signer=identity.Signer.of(tmp_path, "gateway"),
        policies=plugs("gateway.policies", "POLICY", Policy),
        access_log=LogFile(tmp_path / "access.jsonl"),
    )
    shelf = Shelf(tmp_path / "gateway" / "snapshot")
    feed = Feed(worker, shelf, control, lambda: tokens.data_plane(tmp_path))
    port = await worker.listen("127.0.0.1", 0)
    asking = asyncio.create_task(feed.run())
    async with asyncio.timeout(10):
        while worker.snapshot.version <= 0:
            await asyncio.sleep(0.005)
    yield port
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await worker.drain()


class Maker:
    """Signs what it is told to, right or wrong."""

    def __init__(self, now_s):
        self.now_s = now_s
        self.key, self.other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
        self.header = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
        self.claims = {
            "iss": "https://issuer.test", "aud": "https://api.test", "sub": "portal",
            "client_id": "portal", "scope": "system:read", "jti": "t1",
            "iat": now_s, "nbf": now_s, "exp": now_s + 600,
        }  # fmt: skip

    @property
    def jwk(self):
        return {**self.key.as_dict(private=False), "kid": "k1"}

    def token(self, *, drop=(), header=None, key=None, **claims):
        head = {k: v for k, v in {**self.header, **(header or {})}.items() if v is not None}
        body = {k: v for k, v in {**self.claims, **claims}.items() if k not in drop}
        return self.raw(json.dumps(head).encode(), json.dumps(body).encode(), key or self.key)

    def raw(self, header, claims, key=None, alg="ES256"):
        signed = b".".join(b64(part).encode() for part in (header, claims))
        signature = JWSRegistry.algorithms[alg].sign(signed, key or self.key)
        return f"{signed.decode()}.{b64(signature)}"

    def proof(self, token, key, *, header=None, **claims):
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
        body = {
            "jti": uuid7(clock.now()), "htm": "GET", "htu": "http://gateway.test/system/v1/things",
            "iat": self.now_s, "ath": b64(hashlib.sha256(token.encode()).digest()), **claims,
        }  # fmt: skip
        merged = {**head, **(header or {})}
        return self.raw(json.dumps(merged).encode(), json.dumps(body).encode(), key)


@pytest.fixture
def maker(gate):
    """The gate trusts it for the client `portal` of the consumer `acme`."""
    made = Maker(int(clock.now().timestamp()))
    gate.more = {
        "issuers": (Issuer("https://issuer.test", "https://api.test", (made.jwk,)),),
        "clients": (Client("portal", "acme"),),
    }
    gate.publish()
    return made
