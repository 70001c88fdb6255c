"""This file exists to be our data plane under test: one worker, a snapshot, a key in a file.

    python -m bench.ours HOME PORT UPSTREAM_PORT [--large] [--swaps] [--token] [--bodies]

--large: 10,000 keys and 1,000 routes. --swaps: another snapshot of that size every second, read
from its wire form as from a control plane. --token: the credential is an access token (ES256)
of an issuer we trust, instead of a key. --bodies: bodies of a gigabyte are let in.
"""

import argparse
import asyncio
from itertools import cycle
from pathlib import Path

import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec import structs

from chassis import clock, identity
from chassis.discovery import plugs
from gateway import app, keys
from gateway.dataplane.access import LogFile
from gateway.dataplane.worker import Worker
from gateway.metering.limit import Limit
from gateway.policy import Policy
from gateway.routes import Route, Upstream, tier_routes
from gateway.settings import Limits
from gateway.snapshot import Consumer, Issuer, Key, Plan, Snapshot, encode

KEYS, ROUTES, CONSUMERS = 10_000, 1_000, 500
SWAP_EVERY_S = 1.0
LIMITS = (
    Limit(name="rate", kind="rate", amount=1_000_000),
    Limit(name="month", kind="quota", amount=10**12, period="month"),
)


async def main(
    home: Path,
    port: int,
    upstream_port: int,
    *,
    large: bool,
    swaps: bool,
    token: bool,
    bodies: bool,
) -> None:
    """Serve until killed."""
    identity.ensure(home)
    peppers = keys.peppers(home)
    worker = Worker(
        limits=Limits(),
        peppers=peppers,
        signer=identity.Signer.of(home, "gateway"),
        policies=plugs("gateway.policies", "POLICY", Policy),
        access_log=LogFile(home / "access.jsonl"),
    )
    key = keys.mint("live")
    (home / "credential").write_text(key)
    first = _snapshot(peppers, key, upstream_port, version=1, large=large)
    if bodies:
        first = _for_large_bodies(first)
    if token:
        first = _with_issuer(first, home / "credential")
    worker.swap(first)
    app._spare_the_collector()
    await worker.listen("127.0.0.1", port)
    if not swaps:
        await asyncio.Event().wait()
    second = _snapshot(peppers, key, upstream_port, version=2, large=large)
    for raw in cycle((encode(second), encode(first))):
        await asyncio.sleep(SWAP_EVERY_S)
        await worker.take(raw)


def _for_large_bodies(snapshot: Snapshot) -> Snapshot:
    route = snapshot.routes[0]
    policies = {**route.policies, "size_limit": {"limit_bytes": 10**9}}
    return structs.replace(snapshot, routes=(structs.replace(route, policies=policies),))


def _with_issuer(snapshot: Snapshot, credential: Path) -> Snapshot:
    """Whose tokens come as the same consumer; one of them goes into the file."""
    key, now_s = ECKey.generate_key("P-256"), int(clock.now().timestamp())
    claims = {
        "iss": "https://issuer.example", "aud": "https://api.example", "sub": "acme",
        "client_id": "acme", "scope": "system:read", "jti": "t1",
        "iat": now_s, "nbf": now_s, "exp": now_s + 3600,
    }  # fmt: skip
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
    credential.write_text(jwt.encode(header, claims, key))
    issuer = Issuer(
        issuer=claims["iss"], audience=claims["aud"], consumer="acme",
        keys=({**key.as_dict(private=False), "kid": "k1", "alg": "ES256"},),
    )  # fmt: skip
    return structs.replace(snapshot, issuers=(issuer,))


def _snapshot(
    peppers: keys.Peppers, key: str, upstream_port: int, *, version: int, large: bool
) -> Snapshot:
    """The one key that is used, and, when large, the many that only lie about."""
    system = next(route for route in tier_routes() if route.name == "system")
    routes, consumers = [system], [Consumer("acme", ("gold",))]
    made = [_key(peppers, "key_1", key, "acme")]
    if large:
        routes += (
            Route(name=f"r{n}", prefix=f"/system/v1/r{n}", upstream="system",
                  policies=system.policies, deadline_ms=30_000 + version * (n == 7))
            for n in range(ROUTES)
        )  # fmt: skip
        consumers += (Consumer(f"c{n}", ("gold",)) for n in range(CONSUMERS))
        made += _many_keys(peppers, version)
    return Snapshot(
        version=version,
        upstreams=(Upstream(name="system", urls=(f"http://127.0.0.1:{upstream_port}",)),),
        routes=tuple(routes),
        plans=(Plan("gold", ("system:*",), LIMITS),),
        consumers=tuple(consumers),
        keys=tuple(made),
    )


def _many_keys(peppers: keys.Peppers, version: int) -> list[Key]:
    """The same ones in each version but for the last hundred."""
    steady = range(KEYS - 100)
    changing = range(KEYS * version, KEYS * version + 100)
    return [
        _key(peppers, f"key_x{n}", f"fw_live_{n}", f"c{n % CONSUMERS}")
        for n in (*steady, *changing)
    ]


def _key(peppers: keys.Peppers, name: str, key: str, consumer: str) -> Key:
    pepper, digest = peppers.digest(key.encode())
    return Key(name, digest, pepper, consumer, ("system:read",))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--swaps", action="store_true")
    parser.add_argument("--token", action="store_true")
    parser.add_argument("--bodies", action="store_true")
    asked = parser.parse_args()
    uvloop.run(
        main(
            asked.home, asked.port, asked.upstream_port,
            large=asked.large, swaps=asked.swaps, token=asked.token, bodies=asked.bodies,
        )
    )  # fmt: skip
