"""Access tokens at the public port: beside keys, as cheap as keys, and no more talkative."""

import re
import ssl

import pytest
from joserfc.jwk import ECKey

from gateway import keys
from gateway.dataplane.listeners import Tls
from gateway.identity.jose import b64
from gateway.snapshot import Client, Issuer


@pytest.fixture
def tokens(gate, maker):
    """The gate trusts the maker."""
    gate.more = {
        "issuers": (Issuer("https://issuer.test", "https://api.test", (maker.jwk,)),),
        "clients": (Client("portal", "acme"),),
    }
    gate.publish()
    return maker


async def test_a_token_is_let_in_as_its_consumer(gate, upstream, tokens):
    """The tier learns consumer and client; the token itself goes no further."""
    answers = [await gate.ask(key=tokens.token().decode()) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    seen = upstream.seen[-1]
    assert seen.header("authorization") == []
    assert len(seen.header("firmwire-identity")) == 1
    assert (await gate.ask(key=tokens.token(scope="process:x").decode())).status == 403
    counted = rb'request_seconds_count\{route="system",version=".+",class="token"\} 2\n'
    assert re.search(counted, gate.worker.metrics())


async def test_401_is_the_same_for_every_wrong_token(gate, tokens):
    """Unknown, expired, revoked, unproven, doubled, in the query: one answer, that of no key."""
    good = tokens.token().decode()
    bound = tokens.token(cnf={"jkt": "A" * 43}).decode()
    certified = tokens.token(cnf={"x5t#S256": "A" * 43}).decode()
    gate.more["revoked"] = ("dead",)
    gate.publish()
    now_s = tokens.now_s
    wrong = [
        await gate.ask(key=None),
        await gate.ask(key=tokens.token(jti="dead").decode()),
        await gate.ask(key=tokens.token(iat=now_s - 99, nbf=now_s - 99, exp=now_s - 1).decode()),
        await gate.ask(key=tokens.token(key=tokens.other).decode()),
        await gate.ask(key=tokens.token(iss="https://evil.test").decode()),
        await gate.ask(key=bound),
        await gate.ask(key=certified),
        await gate.ask(key=None, Authorization=f"DPoP {good}"),
        await gate.ask(key=None, Authorization=f"DPoP {bound}"),
        await gate.ask(key=None, Authorization=f"DPoP {bound}", DPoP="a.b.c"),
        await gate.ask(key=None, Authorization=f"Basic {good}"),
        await gate.ask(key=None, Authorization=f"Token. {good}"),
        await gate.ask(key=None, X_Api_Key=good),
        await gate.ask(key=good, X_Api_Key=gate.key),
        await gate.ask(key=good, X_Api_Key=keys.mint("live")),
        await gate.ask("GET", f"/system/v1/x?access_token={good}", key=None),
    ]
    own = re.compile(r'(?i)"(instance|request_id|correlation_id)":"[^"]*"')
    shown = {(one.status, own.sub("", one.body.decode())) for one in wrong}
    assert len(shown) == 1
    assert wrong[0].status == 401
    assert (await gate.ask(key=good)).status == 200


async def test_a_token_dies_in_the_middle_of_a_connection(gate, tokens, monkeypatch):
    """A warm token is asked for its expiry at every request."""
    token = tokens.token(exp=tokens.now_s + 600).decode()
    assert (await gate.ask(key=token)).status == 200
    ahead_s = gate.worker._unix_minus_monotonic_s + 601
    monkeypatch.setattr(gate.worker, "_unix_minus_monotonic_s", ahead_s)
    assert (await gate.ask(key=token)).status == 401


async def test_a_token_bound_to_a_key_needs_a_proof_a_request(gate, tokens):
    """RFC 9449: a thief of the token alone, or of an old proof, gets nothing."""
    key, thief = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    token = tokens.token(cnf={"jkt": key.thumbprint()})
    place = {"htu": "http://gateway.test/system/v1/things"}
    proof = tokens.proof(token, key, **place).decode()
    ask = {"key": None, "Authorization": f"DPoP {token.decode()}"}
    assert (await gate.ask(**ask, DPoP=proof)).status == 200
    assert (await gate.ask(**ask, DPoP=proof)).status == 401
    assert (await gate.ask(**ask, DPoP=tokens.proof(token, thief, **place).decode())).status == 401
    assert (await gate.ask(key=token.decode(), DPoP=proof)).status == 401
    elsewhere = tokens.proof(token, key, htu="http://gateway.test/system/v1/other").decode()
    assert (await gate.ask(**ask, DPoP=elsewhere)).status == 401
    again = tokens.proof(token, key, **place).decode()
    assert (await gate.ask(**ask, DPoP=again)).status == 200


async def test_a_route_may_ask_proofs_for_a_nonce(gate, tokens):
    """RFC 9449 section 9: without one, or with another, the proof's holder is told another;
    who does not hold the key is told nothing."""
    key, thief = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    token = tokens.token(cnf={"jkt": key.thumbprint()})
    policies = {"authenticate": {"dpop_nonce": True}, "authorise": {"scope": "system"}, "meter": {}}
    gate.route = {"policies": policies}
    gate.publish()

    async def asked(by=key, **claims):
        claims = {"htu": "http://gateway.test/system/v1/things", **claims}
        proof = tokens.proof(token, by, iat=int(gate.worker.unix()), **claims).decode()
        return await gate.ask(key=None, Authorization=f"DPoP {token.decode()}", DPoP=proof)

    first = await asked()
    assert first.status == 401
    assert 'error="use_dpop_nonce"' in first.headers["www-authenticate"]
    nonce = first.headers["dpop-nonce"]
    good = await asked(nonce=nonce)
    assert (good.status, good.headers["dpop-nonce"]) == (200, nonce)
    for wrong in (await asked(nonce="A" * 22), await asked(nonce=7)):
        assert wrong.status == 401
    stranger = await asked(thief, nonce=nonce)
    assert (stranger.status, "dpop-nonce" in stranger.headers) == (401, False)


async def test_a_token_bound_to_a_certificate_needs_that_certificate(
    gate, tokens, certificates, reply_from
):
    """RFC 8705: another certificate, even a trusted one, or none, is nobody."""
    import asyncio
    import hashlib

    tls = Tls(
        certificate=str(certificates / "server.pem"),
        private_key=str(certificates / "server.key"),
        client_ca=str(certificates / "ca.pem"),
        client_certificates="optional",
    )
    gate.worker._listener.close()
    port = await gate.worker.listen("127.0.0.1", 0, tls)
    der = ssl.PEM_cert_to_DER_cert((certificates / "partner.pem").read_text())
    token = tokens.token(cnf={"x5t#S256": b64(hashlib.sha256(der).digest())}).decode()

    async def status(name: str | None) -> int:
        context = ssl.create_default_context(cafile=str(certificates / "server.pem"))
        if name:
            context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        try:
            writer.write(gate.request(key=token))
            return (await reply_from(reader)).status
        finally:
            writer.close()

    assert [await status(name) for name in ("partner", "thief", None)] == [200, 401, 401]
