"""The control plane's database, migrated and empty, and rows that tests need in it."""

import asyncio
import hashlib
import json
import subprocess

import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry
from sqlalchemy import insert

from chassis import clock, identity
from chassis.database import Database, url_of
from chassis.discovery import plugs
from contracts.ids import uuid7
from gateway import keys, tokens
from gateway.control.tables import admin_token
from gateway.dataplane.access import LogFile
from gateway.dataplane.feed import Feed
from gateway.dataplane.worker import Worker
from gateway.identity import sessions
from gateway.identity.jose import b64
from gateway.identity.tables import person
from gateway.policy import Policy
from gateway.settings import Limits
from gateway.snapshot import Shelf


@pytest.fixture
async def database(tmp_path):
    found = Database(url_of(tmp_path, "gateway"), name="gateway", durable=False)
    found.migrate("gateway.control.migrations")
    yield found
    await found.aclose()


@pytest.fixture
def add_person(database):
    """`add_person("name", role)` -> its id."""

    def add(name: str, role: str = "operator") -> str:
        id = f"person_{uuid7(clock.now())}"
        with database.transaction() as connection:
            connection.execute(insert(person).values(id=id, name=name, role=role, created_ms=0))
        return id

    return add


@pytest.fixture
def add_token(database):
    """`add_token("secret", role)` -> its id."""

    def add(secret: str, role: str = "admin", **more: object) -> str:
        values = {"id": f"admin_{secret}", "digest": sessions.hashed(secret), "created_ms": 0}
        with database.transaction() as connection:
            connection.execute(insert(admin_token).values(**values, role=role, **more))
        return str(values["id"])

    return add


class Maker:
    """Signs what it is told to, right or wrong. Every part of a token may be replaced."""

    def __init__(self, now_s: int) -> None:
        self.now_s = now_s
        self.key = ECKey.generate_key("P-256")
        self.other = ECKey.generate_key("P-256")
        self.header = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
        self.claims = {
            "iss": "https://issuer.test", "aud": "https://api.test", "sub": "portal",
            "client_id": "portal", "scope": "system:read process:time:read", "jti": "g1.t1",
            "iat": now_s, "nbf": now_s, "exp": now_s + 600,
        }  # fmt: skip

    @property
    def jwk(self) -> dict:
        return {**self.key.as_dict(private=False), "kid": "k1"}

    def token(self, *, drop=(), header=None, key=None, **claims) -> bytes:
        head = {**self.header, **(header or {})}
        body = {k: v for k, v in {**self.claims, **claims}.items() if k not in drop}
        return self.raw({k: v for k, v in head.items() if v is not None}, body, key or self.key)

    def raw(self, header: dict | bytes, claims: dict | bytes, key=None, alg="ES256") -> bytes:
        parts = (p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, claims))
        signed = b".".join(b64(part).encode() for part in parts)
        signature = JWSRegistry.algorithms[alg].sign(signed, key or self.key)
        return signed + b"." + b64(signature).encode()

    def proof(self, token: bytes | None, key, *, typ="dpop+jwt", **claims) -> bytes:
        body = {
            "jti": uuid7(clock.now()), "htm": "GET", "htu": "https://api.test/system/v1/x",
            "iat": self.now_s, **claims,
        }  # fmt: skip
        if token is not None and "ath" not in claims:
            body["ath"] = b64(hashlib.sha256(token).digest())
        return self.raw({"alg": "ES256", "typ": typ, "jwk": key.as_dict(private=False)}, body, key)


@pytest.fixture
def maker():
    return Maker(int(clock.now().timestamp()))


class Plane:
    """A data plane fed by a control plane: `async with Plane(home, url) as plane`."""

    def __init__(self, home, url: str) -> None:
        identity.ensure(home)
        self.worker = Worker(
            limits=Limits(drain_s=0.1),
            peppers=keys.peppers(home),
            signer=identity.Signer.of(home, "gateway"),
            policies=plugs("gateway.policies", "POLICY", Policy),
            access_log=LogFile(home / "access.jsonl"),
        )
        shelf = Shelf(home / "gateway" / "snapshot")
        self.feed = Feed(self.worker, shelf, url, lambda: tokens.data_plane(home))

    async def __aenter__(self):
        self.port = await self.worker.listen("127.0.0.1", 0)
        self.asking = asyncio.create_task(self.feed.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.asking.cancel()
        await asyncio.gather(self.asking, return_exceptions=True)
        await self.worker.drain()


@pytest.fixture(name="Plane")
def plane_class():
    return Plane


def _openssl(folder, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture
def certificates(tmp_path):
    """A self-signed server and two callers, each its own authority."""
    for name in ("server", "partner", "thief"):
        _openssl(
            tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-addext", "subjectAltName=IP:127.0.0.1",
        )  # fmt: skip
    both = (tmp_path / "partner.pem").read_text() + (tmp_path / "thief.pem").read_text()
    (tmp_path / "ca.pem").write_text(both)
    return tmp_path
