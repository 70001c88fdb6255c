"""Cases 7 and 26: tokens, proofs and certificates that are nearly good, on the real socket."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from datetime import timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from joserfc.jwk import ECKey, RSAKey

from chassis import clock
from gateway.dataplane.listeners import Tls
from gateway.identity.jose import b64
from gateway.snapshot import Issuer

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


async def statuses(gate, tokens, **more):
    """Of one request each, on one connection."""
    found = {}
    for name, token in tokens.items():
        found[name] = (await gate.ask(key=token, **more)).status
    return found


async def test_case_07_the_header_of_a_token_decides_nothing(gate, upstream, maker):
    """No algorithm of its choice, no key it brings or names by an address, path or query."""
    now = maker.token
    claims = json.dumps(maker.claims).encode()
    public = maker.key.as_pem(private=False)
    evil = maker.other.as_dict(private=False)

    def mac(secret):
        head = json.dumps({**maker.header, "alg": "HS256"}).encode()
        signed = f"{b64(head)}.{b64(claims)}"
        signature = hmac.digest(secret, signed.encode(), "sha256")
        return f"{signed}.{b64(signature)}"

    none = b64(json.dumps({**maker.header, "alg": "none"}).encode())
    rsa = RSAKey.generate_key(2048)
    body = json.dumps({**maker.header, "alg": "RS256"}).encode()
    wrong = {
        "none": f"{none}.{b64(claims)}.",
        "None": now(header={"alg": "None"}), "no signature": now().rpartition(".")[0] + ".",
        "HS256 with the public key": mac(public), "HS256 with nothing": mac(b"\0"),
        "another family": maker.raw(body, claims, rsa, alg="RS256"),
        "another alg named": now(header={"alg": "EdDSA"}),
        "kid path": now(header={"kid": "../../../dev/null"}),
        "kid query": now(header={"kid": "k1' OR '1'='1"}),
        "kid address": now(header={"kid": "https://evil.test/k1"}),
        "kid none": now(header={"kid": None}),
        "jwk": now(header={"jwk": evil}, key=maker.other),
        "jku": now(header={"jku": "https://evil.test/jwks"}, key=maker.other),
        "x5u": now(header={"x5u": "https://evil.test/x"}, key=maker.other),
        "crit": now(header={"crit": ["exp"]}), "crit unknown": now(header={"crit": ["x"], "x": 1}),
        "b64": now(header={"b64": False, "crit": ["b64"]}), "typ": now(header={"typ": "JWT"}),
        "cty": f"{now()}.x.y", "stranger": now(key=maker.other), "huge": now(pad="x" * 20_000),
    }  # fmt: skip
    assert set((await statuses(gate, wrong)).items()) == {(name, 401) for name in wrong}
    assert (await gate.ask(key=now())).status == 200
    assert (await gate.raw(gate.request(key="eyJ" + "x" * 1_000_000))).startswith(b"HTTP/1.1 400 ")
    assert len(upstream.seen) == 1


async def test_case_07_every_claim_is_asked_for_and_has_one_reading(gate, upstream, maker):
    """Missing, of another kind, out of its time, for somebody else, or given twice."""
    now_s, make = maker.now_s, maker.token
    head = json.dumps(maker.header).encode()

    def doubled(name, value):
        text = json.dumps(maker.claims)
        return maker.raw(head, f'{{"{name}":{json.dumps(value)},{text[1:]}'.encode())

    wrong = {
        **{f"no {name}": make(drop=(name,)) for name in ("iss", "aud", "exp", "iat", "sub")},
        "other iss": make(iss="https://evil.test"), "iss with slash": make(iss="https://issuer.test/"),
        "other aud": make(aud="https://evil.test"), "aud list": make(aud=["https://evil.test"]),
        "aud object": make(aud={"https://api.test": 1}), "aud part": make(aud="https://api.tes"),
        "expired": make(exp=now_s - 1, iat=now_s - 99, nbf=now_s - 99),
        "early": make(nbf=now_s + 60),
        "exp text": make(exp=str(now_s + 60)), "exp float": make(exp=now_s + 60.5),
        "exp huge": make(exp=10**30), "exp negative": make(exp=-1), "exp true": make(exp=True),
        "exp null": make(exp=None), "exp infinite": make(exp=float("inf")),
        "for ever": make(exp=now_s + 10**7),
        "exp twice": doubled("exp", 1), "sub twice": doubled("sub", "root"),
        "other client": make(client_id="x"),
        "no object": maker.raw(head, b"[]"), "no json": maker.raw(head, b"{"),
        "encrypted": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAA",
        "padded": make() + "=", "with a space": make().replace(".", ". ", 1),
    }  # fmt: skip
    assert set((await statuses(gate, wrong)).items()) == {(name, 401) for name in wrong}
    assert upstream.seen == []


async def test_case_07_a_signature_has_one_form(gate, maker):
    """The other root of the curve, and other letters for the same bits, are no second token."""
    token = maker.token()
    body, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    high = raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    gate.more["revoked"] = ("t1",)
    gate.publish()
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = signature[:-1] + digits[digits.index(signature[-1]) ^ 1]
    assert base64.urlsafe_b64decode(unused + "==") == raw
    for other in (b64(high), unused, signature + "A", ""):
        assert (await gate.ask(key=f"{body}.{other}")).status == 401


async def test_case_07_keys_roll_over_and_a_bad_one_in_the_set_hurts_nobody(gate, maker):
    """The new key counts at once, the old one until it is taken away."""
    new = maker.other
    rolled = maker.token(key=new, header={"kid": "k2"})
    assert (await gate.ask(key=rolled)).status == 401
    junk = (
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "!", "kid": "k9"},
        {"kty": "oct", "k": "AA"},
    )
    for listed, old in (((maker.jwk, *junk, {**new.as_dict(private=False), "kid": "k2"}), 200),
                        (({**new.as_dict(private=False), "kid": "k2"},), 401)):  # fmt: skip
        gate.more["issuers"] = (Issuer("https://issuer.test", "https://api.test", listed),)
        gate.publish()
        assert (await gate.ask(key=rolled)).status == 200
        assert (await gate.ask(key=maker.token())).status == old


async def test_case_26_a_proof_counts_once_and_for_one_request(gate, upstream, maker, reply_from):
    """Also on a line where the very same bytes were good a moment ago."""
    key, thief = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    token = maker.token(cnf={"jkt": key.thumbprint()})
    now_s = maker.now_s
    good = maker.proof(token, key)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    sent = gate.request(key=None, Authorization=f"DPoP {token}", DPoP=good)
    found = []
    for _ in range(3):
        writer.write(sent)
        async with asyncio.timeout(5):
            found.append((await reply_from(reader)).status)
    writer.close()
    assert found == [200, 401, 401]
    other = maker.token(cnf={"jkt": key.thumbprint()}, jti="t2")
    wrong = {
        "thief": maker.proof(token, thief), "other method": maker.proof(token, key, htm="POST"),
        "other place": maker.proof(token, key, htu="http://gateway.test/system/v1/other"),
        "other host": maker.proof(token, key, htu="http://evil.test/system/v1/things"),
        "other token": maker.proof(other, key), "no ath": maker.proof(token, key, ath=None),
        "old": maker.proof(token, key, iat=now_s - 61),
        "early": maker.proof(token, key, iat=now_s + 60),
        "typ": maker.proof(token, key, header={"typ": "JWT"}),
        "no jti": maker.proof(token, key, jti=""),
        "private": maker.proof(token, key, header={"jwk": key.as_dict(private=True)}),
        "junk": "a.b.c",
    }  # fmt: skip
    for name, proof in wrong.items():
        asked = await gate.ask(key=None, Authorization=f"DPoP {token}", DPoP=proof)
        assert asked.status == 401, name
    assert (await gate.ask(key=token)).status == 401
    assert (await gate.ask(key=token, DPoP=maker.proof(token, key))).status == 401
    same = maker.proof(token, key, htu="HTTP://Gateway.Test:80/system/v1/%74hings")
    assert (await gate.ask(key=None, Authorization=f"DPoP {token}", DPoP=same)).status == 200
    assert len(upstream.seen) == 2


class Partners:
    """An authority of callers' certificates: good ones, old ones, and a list of revoked ones."""

    def __init__(self, folder):
        self.server, self.ca = trustme.CA(), trustme.CA()
        self.server.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(folder / "server.pem")
        )
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.revoked_file = folder / "revoked.pem"
        self.tls = Tls(
            certificate=str(folder / "server.pem"), client_ca=str(folder / "ca.pem"),
            revoked=str(self.revoked_file), client_certificates="optional",
        )  # fmt: skip
        self.revoke()

    def revoke(self, *certificates):
        now = clock.now()
        owner = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        made = x509.CertificateRevocationListBuilder().issuer_name(owner.subject)
        made = made.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=1))
        for one in certificates:
            gone = x509.RevokedCertificateBuilder().revocation_date(now - timedelta(hours=1))
            serial = x509.load_pem_x509_certificate(one.cert_chain_pems[0].bytes()).serial_number
            made = made.add_revoked_certificate(gone.serial_number(serial).build())
        signed = made.sign(key, hashes.SHA256())
        self.revoked_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def context(self, certificate=None):
        found = ssl.create_default_context()
        self.server.configure_trust(found)
        if certificate is not None:
            certificate.configure_cert(found)
        return found


async def test_case_26_a_certificate_is_proven_by_the_handshake_and_by_nothing_else(
    gate, upstream, maker, reply_from, tmp_path
):
    """Headers claim in vain; an expired, a revoked, a stranger's and another's open nothing."""
    firm = Partners(tmp_path)
    gate.worker._listener.close()
    gate.port = await gate.worker.listen("127.0.0.1", 0, firm.tls)
    mine = firm.ca.issue_cert("orders.partner.test")
    der = ssl.PEM_cert_to_DER_cert(mine.cert_chain_pems[0].bytes().decode())
    thumb = b64(hashlib.sha256(der).digest())
    token = maker.token(cnf={"x5t#S256": thumb})
    old = firm.ca.issue_cert("old.partner.test", not_after=clock.now() - timedelta(minutes=1))
    wild = firm.ca.issue_cert("*.partner.test")
    stranger = trustme.CA().issue_cert("orders.partner.test")
    spoof = {
        "X_SSL_Client_Cert": thumb, "X_Forwarded_Client_Cert": f"Hash={thumb}",
        "Client_Cert": f":{thumb}:", "X_Client_Cert": thumb, "SSL_Client_Cert": thumb,
        "X_SSL_Client_Verify": "SUCCESS", "X_SSL_Client_Fingerprint": thumb,
    }  # fmt: skip

    async def status(certificate, **headers):
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", gate.port, ssl=firm.context(certificate)
                )
                writer.write(gate.request(key=token, **headers))
                found = (await reply_from(reader)).status
                writer.close()
                return found
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return "no line"

    assert await status(mine) == 200
    assert [await status(None), await status(None, **spoof)] == [401, 401]
    assert [await status(wild), await status(wild, **spoof)] == [401, 401]
    assert [await status(old), await status(stranger)] == ["no line", "no line"]
    firm.revoke(mine)
    assert await gate.worker._listener.reload()
    assert await status(mine) == "no line"
    assert await status(wild) == 401
    assert len(upstream.seen) == 1
