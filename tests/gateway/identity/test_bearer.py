"""Which access tokens are somebody: one right one, and everything ever tried to look like it."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from contracts.principal import Principal
from gateway.dataplane.compiled import caller_of
from gateway.identity.bearer import Bearers
from gateway.identity.jose import b64, keys_of
from gateway.snapshot import Client, Consumer, Issuer, Plan, Snapshot

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def snapshot(maker, **more) -> Snapshot:
    values = {
        "version": 1,
        "plans": (Plan("gold", ("system:*", "process:time:read")),),
        "consumers": (Consumer("acme", ("gold",)),),
        "issuers": (Issuer("https://issuer.test", "https://api.test", (maker.jwk,)),),
        "clients": (Client("portal", "acme", ("system:read", "experience:*", "process:*")),),
        **more,
    }
    return Snapshot(**values)


@pytest.fixture
def bearers(maker):
    found = Bearers(lambda: float(maker.now_s), caller_of)
    found.take(snapshot(maker))
    return found


def test_a_good_token_is_its_client_within_its_plan(bearers, maker):
    """Token, client and plan each narrow; the consumer is the client's."""
    ticket = bearers.ticket(maker.token(scope="system:read system:write process:time:read x:y"))
    scopes = frozenset({"system:read", "process:time:read"})
    assert ticket.caller.principal == Principal("acme", scopes, "gateway", "portal")
    assert (ticket.caller.key_id, ticket.until_s, ticket.free) == (
        "portal", maker.now_s + 600, True,
    )  # fmt: skip
    ticket = bearers.ticket(maker.token(drop=("scope",), sub="kim"))
    assert ticket.caller.principal.actor == "portal/kim"
    assert bearers.ticket(maker.token(scope="")).caller.principal.scopes == frozenset()


def test_a_client_and_an_issuer_are_for_one_of_the_plans(maker):
    """The token's scopes count as far as that plan holds them; its limits are that plan's."""
    plans = (Plan("gold", ("system:*",)), Plan("tin", ("process:*",)))
    found = Bearers(lambda: float(maker.now_s), caller_of)
    for plan, scopes in (("", {"system:read"}), ("tin", {"process:time:read"})):
        client = Client("portal", "acme", plan=plan)
        held = (Consumer("acme", ("gold", "tin")),)
        found.take(snapshot(maker, plans=plans, consumers=held, clients=(client,)))
        caller = found.ticket(maker.token(scope="system:read process:time:read")).caller
        assert (caller.principal.scopes, caller.plan) == (scopes, plan or "gold")
        theirs = Issuer(
            "https://issuer.test", "https://api.test", (maker.jwk,), consumer="acme", plan=plan
        )
        found.take(snapshot(maker, plans=plans, consumers=held, issuers=(theirs,), clients=()))
        caller = found.ticket(maker.token(scope="system:read process:time:read")).caller
        assert (caller.principal.scopes, caller.plan) == (scopes, plan or "gold")


HEADERS = {
    "alg none": {"alg": "none"},
    "alg of another family": {"alg": "HS256"},
    "alg of another curve": {"alg": "ES384"},
    "alg RSA": {"alg": "RS256"},
    "alg missing": {"alg": None},
    "alg lower case": {"alg": "es256"},
    "typ of an identity token": {"typ": "JWT"},
    "typ of a proof": {"typ": "dpop+jwt"},
    "typ missing": {"typ": None},
    "typ a list": {"typ": ["at+jwt"]},
    "kid missing": {"kid": None},
    "kid unknown": {"kid": "k2"},
    "kid a path": {"kid": "../../dev/null"},
    "kid SQL": {"kid": "' OR 1=1 --"},
    "kid an address": {"kid": "https://evil.test/key"},
    "kid a number": {"kid": 1},
    "kid endless": {"kid": "k" * 3000},
    "crit unknown": {"crit": ["x"], "x": 1},
    "crit empty": {"crit": []},
    "b64": {"b64": False},
    "jku": {"jku": "https://evil.test/jwks"},
    "x5u": {"x5u": "https://evil.test/cert"},
    "x5c": {"x5c": ["MII"]},
    "zip": {"zip": "DEF"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_cannot_choose(name, bearers, maker):
    """Neither algorithm nor key nor extension; each well signed with the right key."""
    assert bearers.ticket(maker.token(header=HEADERS[name])) is None


def test_a_key_in_the_header_is_not_looked_at(bearers, maker):
    """A token signed by the key it brings along."""
    jwk = maker.other.as_dict(private=False)
    assert bearers.ticket(maker.token(header={"jwk": jwk}, key=maker.other)) is None


def claims_of(now_s: int) -> dict[str, dict]:
    numbers = ("exp", "iat", "nbf")
    bad: tuple = (str(now_s + 9), now_s + 9.5, True, None, 2**70, -1, [], 1e300)
    wrong = {f"{n} bad {at}": {n: value} for n in numbers for at, value in enumerate(bad)}
    return wrong | {
        "expired": {"exp": now_s},
        "not yet": {"nbf": now_s + 60},
        "from the future": {"iat": now_s + 60},
        "for ever": {"exp": now_s + 90_000},
        "another issuer": {"iss": "https://issuer.test/"},
        "issuer a list": {"iss": ["https://issuer.test"]},
        "another audience": {"aud": "https://api.test/"},
        "audiences of others": {"aud": ["a", "b"]},
        "audience in an object": {"aud": {"https://api.test": 1}},
        "another client": {"client_id": "other"},
        "scope a number": {"scope": 1},
        "scope of numbers": {"scope": [1]},
        "subject empty": {"sub": ""},
        "bound to two things": {"cnf": {"jkt": "a", "x5t#S256": "b"}},
        "bound to what we cannot prove": {"cnf": {"kid": "a"}},
        "bound to nothing": {"cnf": {}},
        "bound by a text": {"cnf": "jkt"},
    }


@pytest.mark.parametrize("name", claims_of(0))
def test_a_claim_that_is_not_right_is_nobody(name, bearers, maker):
    """Types are not bent, times are not guessed."""
    assert bearers.ticket(maker.token(**claims_of(maker.now_s)[name])) is None


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nbf", "sub", "client_id", "jti"])
def test_no_required_claim_may_be_missing(name, bearers, maker):
    """What is not there is not assumed."""
    assert bearers.ticket(maker.token()) is not None
    assert bearers.ticket(maker.token(drop=(name,))) is None


def test_one_of_several_audiences_is_enough(bearers, maker):
    """RFC 7519 section 4.1.3."""
    assert bearers.ticket(maker.token(aud=["https://api.test", "b"])) is not None


def test_the_public_key_is_no_secret(bearers, maker):
    """HS256 with the public key as the secret, under every text of that key."""
    header = {**maker.header, "alg": "HS256"}
    public = maker.key.as_dict(private=False)
    for secret in (json.dumps(public), json.dumps(maker.jwk), public["x"]):
        forged = maker.raw(header, maker.claims, OctKey.import_key(secret), alg="HS256")
        assert bearers.ticket(forged) is None


def test_only_the_issuers_own_key_signs(bearers, maker):
    """Another key, a cut signature, none at all, one of zeros."""
    good = maker.token()
    body, _, signature = good.rpartition(b".")
    forged = [
        maker.token(key=maker.other), body + b".", body, body + b".AA", good[:-2],
        body + b"." + b64(bytes(64)).encode(), body + b"." + b64(bytes(63)).encode(),
        good + b"=", good + b"A", good + b".", b"." + good, good.replace(b".", b".."),
        signature + b"." + body, good + b"\n", b" " + good, good.upper(), good + b"\x00",
    ]  # fmt: skip
    assert [bearers.ticket(each) for each in forged] == [None] * len(forged)


def test_a_token_has_one_form(bearers, maker):
    """The same bits in another text (padding bits, standard alphabet) are another token."""
    head, claims, signature = maker.token().split(b".")
    raw = base64.urlsafe_b64decode(signature + b"==")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1 : 65][:1]
    assert base64.urlsafe_b64decode(sibling + b"==") == raw
    assert bearers.ticket(b".".join((head, claims, sibling))) is None
    for each in (head + b"=", head + b"\n", b"\xff" + head):
        assert bearers.ticket(b".".join((each, claims, signature))) is None


def test_a_malleated_signature_of_a_revoked_token_is_revoked(bearers, maker):
    """(r, n - s) verifies too; what is revoked is the token's id, not its text."""
    body, _, signature = maker.token().rpartition(b".")
    raw = base64.urlsafe_b64decode(signature + b"==")
    mirrored = raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    twin = body + b"." + b64(mirrored).encode()
    assert bearers.ticket(twin) is not None
    bearers.take(snapshot(maker, version=2, revoked=("g1.t1",)))
    assert bearers.ticket(twin) is None


def test_members_given_twice_are_refused(bearers, maker):
    """Two readers would see two tokens."""
    text = json.dumps(maker.claims).encode()
    header = json.dumps(maker.header).encode()
    assert bearers.ticket(maker.raw(header, text)) is not None
    twice = text[:-1] + b', "sub": "root"}'
    assert bearers.ticket(maker.raw(header, twice)) is None
    assert bearers.ticket(maker.raw(header[:-1] + b', "alg": "ES256"}', text)) is None
    for odd in (b"[]", b"1", b"", b"{", text[:-1] + b', "x": NaN}', b'{"a":' * 700 + b"}" * 700):
        assert bearers.ticket(maker.raw(header, odd)) is None


def test_encrypted_nested_and_huge_tokens_are_refused(bearers, maker):
    """Five parts, a token inside a token, a megabyte."""
    good = maker.token()
    assert bearers.ticket(b".".join((good, b"AA", b"AA"))) is None
    assert bearers.ticket(maker.raw({**maker.header, "cty": "JWT"}, good)) is None
    assert bearers.ticket(maker.token(note="x" * 1_000_000)) is None


def test_a_revoked_token_a_revoked_grant_and_a_gone_client_are_dead(bearers, maker):
    """Also when the token was good a moment ago; the rest lives on without verifying again."""
    first, second = maker.token(), maker.token(jti="g2.t1")
    assert bearers.ticket(first) is not None
    assert bearers.ticket(second) is not None
    for more in ({"revoked": ("g1.t1",)}, {"revoked": ("g1",)}):
        bearers.take(snapshot(maker, version=2, **more))
        assert bearers.tickets == {}
        assert bearers.ticket(first) is None
        assert bearers.ticket(second) is not None
    bearers.take(snapshot(maker, version=3, clients=()))
    assert bearers.ticket(second) is None
    bearers.take(snapshot(maker, version=4, issuers=()))
    assert bearers.ticket(second) is None


def test_keys_come_and_go_with_the_snapshot(bearers, maker):
    """A new key counts, an old one stops counting, and a bad one in a set hurts nobody."""
    rotated = {**maker.other.as_dict(private=False), "kid": "k2"}
    issuer = ("https://issuer.test", "https://api.test")
    odd = [
        {"kid": "k0"}, {"kid": "k2", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC"}, {"kid": 7, **maker.key.as_dict(private=False)},
    ]  # fmt: skip
    old, new = maker.token(), maker.token(header={"kid": "k2"}, key=maker.other)
    assert [bearers.ticket(t) is not None for t in (old, new)] == [True, False]
    both = Issuer(*issuer, (*odd, maker.jwk, rotated))
    bearers.take(snapshot(maker, version=2, issuers=(both,)))
    assert [bearers.ticket(t) is not None for t in (old, new)] == [True, True]
    bearers.take(snapshot(maker, version=3, issuers=(Issuer(*issuer, (rotated,)),)))
    assert [bearers.ticket(t) is not None for t in (old, new)] == [False, True]


def test_only_keys_fit_for_verifying_are_taken():
    """Secret, private, short, for encryption, of another curve: left out, the rest is kept."""
    good = {
        "ec": ECKey.generate_key("P-256"),
        "ed": OKPKey.generate_key("Ed25519"),
        "rsa": RSAKey.generate_key(2048),
    }
    listed = [{**key.as_dict(private=False), "kid": kid} for kid, key in good.items()]
    public = good["ec"].as_dict(private=False)
    bad = [
        {**public, "kid": "1", "use": "enc"},
        {**public, "kid": "2", "alg": "HS256"},
        {**public, "kid": "3", "key_ops": ["sign"]},
        {**public, "kid": "4", "y": public["x"]},
        {**good["ec"].as_dict(private=True), "kid": "5"},
        {"kty": "oct", "k": "AAAA", "kid": "6"},
        {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "7"},
        {**OKPKey.generate_key("X25519").as_dict(private=False), "kid": "8"},
        {**good["rsa"].as_dict(private=False), "kid": "9", "n": "_" * 170 + "w"},
        {**good["rsa"].as_dict(private=False), "kid": "10", "e": "A" * 300 + "Q"},
        {**good["rsa"].as_dict(private=False), "kid": "11", "n": "_" * 1400},
    ]
    found = keys_of([*bad, *listed])
    assert {kid: key.algorithms for kid, key in found.items()} == {
        "ec": ("ES256",), "ed": ("EdDSA", "Ed25519"), "rsa": ("RS256",),
    }  # fmt: skip


@pytest.mark.parametrize("said", ["EdDSA", "Ed25519"])
def test_an_external_issuer_speaks_for_one_consumer(said, maker):
    """Edwards keys by either name; no client of ours is asked for; its scopes are capped."""
    key = OKPKey.generate_key("Ed25519")
    jwk = {**key.as_dict(private=False), "kid": "k1", "alg": "EdDSA"}
    issuer = Issuer(
        "https://issuer.test", "https://api.test", (jwk,), ("at+jwt", "jwt"), "acme",
        ("system:read",),
    )  # fmt: skip
    bearers = Bearers(lambda: float(maker.now_s), caller_of)
    bearers.take(snapshot(maker, issuers=(issuer,)))
    claims = {k: v for k, v in maker.claims.items() if k not in ("client_id", "nbf", "jti")}
    token = maker.raw({"alg": said, "typ": "JWT", "kid": "k1"}, claims, key, "Ed25519")
    principal = bearers.ticket(token).caller.principal
    assert principal == Principal("acme", frozenset({"system:read"}), "gateway", "portal")


@pytest.mark.parametrize("bound", ["mtls", "dpop"])
def test_a_bound_clients_token_is_bound(bound, bearers, maker):
    """A client that must prove more cannot come with a plain bearer token."""
    client = Client("portal", "acme", (), bound)
    bearers.take(snapshot(maker, clients=(client,)))
    proofs = {"mtls": {"x5t#S256": "A"}, "dpop": {"jkt": "A"}}
    found = {name: bearers.ticket(maker.token(cnf=cnf)) for name, cnf in proofs.items()}
    assert [name for name, ticket in found.items() if ticket] == [bound]
    assert bearers.ticket(maker.token()) is None


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 400), bit=st.integers(0, 7))
def test_no_bit_of_a_token_may_change(at, bit):
    """Wherever it is changed, it is nobody's."""
    good = _GOOD.token()
    at %= len(good)
    changed = good[:at] + bytes((good[at] ^ (1 << bit),)) + good[at + 1 :]
    assert _BEARERS.ticket(changed) is None


def _made():
    from importlib import util
    from pathlib import Path

    spec = util.spec_from_file_location("identity_maker", Path(__file__).with_name("conftest.py"))
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    maker = module.Maker(1_800_000_000)
    bearers = Bearers(lambda: 1_800_000_000.0, caller_of)
    bearers.take(snapshot(maker))
    return maker, bearers


_GOOD, _BEARERS = _made()
