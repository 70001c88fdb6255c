"""Nobody inside the house believes a bare header."""

import stat
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from chassis import clock, identity
from chassis.identity import Signer, Verifier
from contracts.principal import Principal
from contracts.problem import Fault, Problem


def refused(verifier, assertion):
    with pytest.raises(Problem) as caught:
        verifier.principal(assertion)
    assert caught.value.fault == Fault.UNAUTHENTICATED
    return caught.value


def forged(key, issuer="process", kid=None, **claims):
    now_s = int(clock.now().timestamp())
    body = {
        "iss": issuer,
        "sub": "x",
        "aud": "firmwire",
        "scope": "a",
        "iat": now_s,
        "exp": now_s + 60,
    }
    header = {"alg": "ES256", "kid": kid or f"{issuer}:{key.thumbprint()}"}
    return jwt.encode(header, {**body, **claims}, key, algorithms=["ES256"])


@pytest.fixture
def own_key(home):
    file = home / "identity" / "process.key.json"
    return ECKey.import_key(msgspec.json.decode(file.read_bytes()))


def test_who_signed_is_who_is_verified(signer, verifier):
    """Subject, scopes, issuer and actor survive the trip."""
    assertion = signer.assertion("acme", ["b:write", "a:read"], actor="key-7")
    expected = Principal("acme", frozenset({"a:read", "b:write"}), "process", "key-7")
    assert expected == verifier.principal(assertion)
    assert expected == verifier.principal(assertion)


def test_an_assertion_is_reused_for_thirty_seconds_and_dead_after_sixty(home, fixed):
    """One signature serves many calls, but not for long."""
    signer, verifier = Signer.of(home, "gateway"), Verifier(identity.jwks_file(home))
    first = signer.assertion("a", ["x"])
    verifier.principal(first)
    fixed.move(29)
    assert first == signer.assertion("a", ["x"])
    fixed.move(2)
    assert first != signer.assertion("a", ["x"])
    verifier.principal(first)
    fixed.move(30)
    refused(verifier, first)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "elsewhere"},
        {"exp": 1},
        {"exp": 4_000_000_000},
        {"iat": 4_000_000_000, "exp": 4_000_000_060},
        {"iat": None},
        {"sub": None},
        {"scope": ["a"]},
    ],
)
def test_wrong_claims_are_refused(verifier, own_key, claims):
    """Expired, living too long, from the future, for someone else, incomplete."""
    refused(verifier, forged(own_key, **claims))


def test_a_stranger_cannot_sign(verifier):
    """An unknown key is refused, also when it claims a known key's id."""
    stranger = ECKey.generate_key("P-256")
    refused(verifier, forged(stranger))
    known = next(iter(verifier._keys))
    refused(verifier, forged(stranger, kid=known))


def test_one_issuer_cannot_speak_for_another(verifier, own_key):
    """The process tier's key does not make the gateway's word."""
    kid = f"process:{own_key.thumbprint()}"
    problem = refused(verifier, forged(own_key, issuer="gateway", kid=kid))
    assert "another issuer" in problem.because
    assert "another issuer" not in problem.say


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_assertion_is_refused(verifier, assertion):
    """Also `alg: none`."""
    refused(verifier, assertion)


def test_a_symmetric_signature_is_refused(verifier, own_key):
    """The public key is no shared secret (RFC 8725, section 2.1)."""
    key = OctKey.import_key(msgspec.json.encode(own_key.as_dict(private=False)))
    header = {"alg": "HS256", "kid": f"process:{own_key.thumbprint()}"}
    refused(verifier, jwt.encode(header, {"iss": "process", "sub": "x"}, key, algorithms=["HS256"]))


def test_keys_are_private_and_made_once(tmp_path):
    """Tiers that start together agree on one key each; the private half is for its owner only."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: identity.ensure(tmp_path), range(16)))
    public = msgspec.json.decode(identity.jwks_file(tmp_path).read_bytes())["keys"]
    assert len(identity.ISSUERS) == len(public)
    assert all("d" not in key for key in public)
    key_file = tmp_path / "identity" / "gateway.key.json"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_a_new_issuer_is_trusted_without_a_restart(tmp_path):
    """The key file is read again when an unknown key turns up and the file has changed."""
    verifier = Verifier(identity.ensure(tmp_path, ["gateway"]))
    identity.ensure(tmp_path, ["process"])
    assertion = Signer.of(tmp_path, "process").assertion("me", ["a"])
    assert verifier.principal(assertion).subject == "me"
