"""A DPoP proof on real sockets: once for all workers of a gateway, and for all gateways."""

import asyncio
import hashlib
import json
import shutil

import httpx
import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from chassis import clock
from contracts.ids import uuid7
from gateway.control.identity_calls import create_client
from gateway.identity.clients import ClientDraft
from gateway.identity.jose import b64


class Holder:
    """A client with its key and a token bound to it."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256")
        self.token = ""

    def proof(self, method: str, htu: str) -> str:
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": self.key.as_dict(private=False)}
        now_s = int(clock.now().timestamp())
        claims = {"jti": uuid7(clock.now()), "htm": method, "htu": htu, "iat": now_s}
        if self.token:
            claims["ath"] = b64(hashlib.sha256(self.token.encode()).digest())
        signed = ".".join(b64(json.dumps(part).encode()) for part in (head, claims))
        signature = JWSRegistry.algorithms["ES256"].sign(signed.encode(), self.key)
        return f"{signed}.{b64(signature)}"

    @property
    def headers(self) -> tuple[str, str]:
        """Of one request that may come once."""
        proof = self.proof("GET", "http://a/system/v1/x")
        return f"Authorization: DPoP {self.token}", f"DPoP: {proof}"


@pytest.fixture
async def holder(firm):
    url, admin, _ = firm
    draft = ClientDraft(consumer="acme", bound="dpop", scopes=("system:read",))
    made = await create_client(admin, draft)
    found = Holder()
    proof = found.proof("POST", "http://127.0.0.1:8090/oauth/token")
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        asked = {"data": {"grant_type": "client_credentials"}, "headers": {"DPoP": proof}}
        pair = (made.client.id, made.secret)
        told = await http.post(f"{url}/oauth/token", auth=pair, **asked)
        again = await http.post(f"{url}/oauth/token", auth=pair, **asked)
    assert (told.status_code, again.json()["error"]) == (200, "invalid_dpop_proof")
    found.token = told.json()["access_token"]
    return found


async def replayed(gateways, holder, number=24):
    """The same request on many connections to each, at once: they reach every worker."""
    headers = holder.headers
    asked = [
        gateway.get(gateway.port, "/system/v1/x", *headers)
        for gateway in gateways
        for _ in range(number)
    ]
    return sorted(status for status, _ in await asyncio.gather(*asked))


async def test_one_of_two_workers_takes_a_proof_and_a_restart_forgets_nothing(
    tmp_path, firm, Gateway, holder
):
    """Without Redis: no second time, at no worker, also after the gateway was killed."""
    headers = holder.headers
    async with Gateway(tmp_path, firm[0]) as gateway:
        await gateway.all_ready()
        for _ in range(5):
            assert await replayed([gateway], holder) == [200] + [401] * 23
        assert (await gateway.get(gateway.port, "/system/v1/x", *headers))[0] == 200
        served = (await gateway.inside("/metrics"))[1]
        assert 'firmwire_gateway_requests_total{route="system",status="200"} 6\n' in served
    async with Gateway(tmp_path, firm[0]) as gateway:
        await gateway.all_ready()
        assert (await gateway.get(gateway.port, "/system/v1/x", *headers))[0] == 401
        assert (await gateway.get(gateway.port, "/system/v1/x", *holder.headers))[0] == 200


async def test_one_of_two_gateways_takes_a_proof(tmp_path, firm, Gateway, holder, redis_url):
    """Four workers that have nothing in common but Redis; and closed when that is not there."""
    other = tmp_path / "other"
    shutil.copytree(tmp_path, other)
    shared = {"FIRMWIRE_GATEWAY_REDIS_URL": redis_url}
    dead = {"FIRMWIRE_GATEWAY_REDIS_URL": "redis://127.0.0.1:9/0"}
    async with (
        Gateway(tmp_path, firm[0], **shared) as one,
        Gateway(other, firm[0], **shared) as two,
    ):
        await asyncio.gather(one.all_ready(), two.all_ready())
        # Where a busy machine keeps Redis from answering in time, nobody takes it: never two.
        rounds = [await replayed([one, two], holder, 12) for _ in range(5)]
        taken = [statuses.count(200) for statuses in rounds]
        assert {status for statuses in rounds for status in statuses} <= {200, 401, 503}
        assert (max(taken), sum(taken) >= 2) == (1, True)
    async with Gateway(tmp_path, firm[0], workers=1, **dead) as gateway:
        async with asyncio.timeout(20):
            while (await gateway.inside("/ready"))[0] != 200:
                await asyncio.sleep(0.02)
        status, told = await gateway.get(gateway.port, "/system/v1/x", *holder.headers)
        assert (status, json.loads(told)["code"]) == (503, "unavailable")
        assert await gateway.statuses(firm[2].secret, 2) == {200}
