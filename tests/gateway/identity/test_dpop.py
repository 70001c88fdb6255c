"""A proof is for one request, one token, one key, one time."""

import pytest
from joserfc.jwk import ECKey

from gateway.identity.dpop import Nonces, checked
from gateway.identity.jose import Unfit
from gateway.keys import hasher

HERE = {"method": "GET", "host": "api.test", "path": "/system/v1/x"}


@pytest.fixture
def key():
    return ECKey.generate_key("P-256")


def test_a_proof_shows_its_key_for_a_minute(maker, key):
    """The thumbprint of RFC 7638; what names it is its key and its jti."""
    token = maker.token()
    asked = {**HERE, "token": token}
    proof = maker.proof(token, key, jti="one")
    found = checked(proof, **asked, now_s=maker.now_s)
    assert (found.thumbprint, found.issued_s) == (key.thumbprint(), maker.now_s)
    assert checked(proof, **asked, now_s=maker.now_s + 59).id == found.id
    for other in (maker.proof(token, key, jti="two"), maker.proof(token, maker.key, jti="one")):
        assert checked(other, **asked, now_s=maker.now_s).id != found.id
    with pytest.raises(Unfit, match="iat"):
        checked(proof, **asked, now_s=maker.now_s + 61)


@pytest.mark.parametrize(
    "htu",
    [
        "https://API.test:443/system/v1/x", "http://api.test/system/v1/x",
        "HTTPS://api.test/%73ystem/v1/x",
    ],
)  # fmt: skip
def test_one_address_in_several_forms(htu, maker, key):
    """Case, default port, needless escapes: RFC 3986 section 6.2."""
    proof = maker.proof(None, key, htu=htu)
    found = checked(proof, **HERE, token=None, now_s=maker.now_s)
    assert found.thumbprint == key.thumbprint()


WRONG = {
    "another method": {"htm": "POST"},
    "method in lower case": {"htm": "get"},
    "another path": {"htu": "https://api.test/system/v1/y"},
    "path in another case": {"htu": "https://api.test/system/v1/X"},
    "an escaped slash": {"htu": "https://api.test/system%2Fv1/x"},
    "another host": {"htu": "https://evil.test/system/v1/x"},
    "a host before a host": {"htu": "https://api.test@evil.test/system/v1/x"},
    "another port": {"htu": "https://api.test:8443/system/v1/x"},
    "a query": {"htu": "https://api.test/system/v1/x?a=1"},
    "no address": {"htu": "/system/v1/x"},
    "another scheme": {"htu": "ftp://api.test/system/v1/x"},
    "no iat": {"iat": None},
    "iat a text": {"iat": "1"},
    "iat a truth": {"iat": True},
    "no jti": {"jti": None},
    "jti endless": {"jti": "j" * 300},
    "another token": {"ath": "AAAA"},
    "no token": {"ath": None},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_proof_for_something_else_is_none(name, maker, key):
    """Each made by the right key."""
    token = maker.token()
    with pytest.raises(Unfit):
        checked(maker.proof(token, key, **WRONG[name]), **HERE, token=token, now_s=maker.now_s)


def test_a_proof_made_too_early_or_too_late_is_none(maker, key):
    """A minute back, seconds ahead."""
    for ago_s, holds in ((59, True), (61, False), (-4, True), (-6, False)):
        proof = maker.proof(None, key, iat=maker.now_s - ago_s)
        asked = {**HERE, "token": None, "now_s": maker.now_s}
        if holds:
            assert checked(proof, **asked).thumbprint == key.thumbprint()
        else:
            with pytest.raises(Unfit, match="iat"):
                checked(proof, **asked)


def test_a_proof_is_signed_by_the_key_it_shows(maker, key):
    """Not by another, not with a private key inside, not of another type, and not without one."""
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    claims = {"jti": "a", "htm": "GET", "htu": "https://api.test/system/v1/x", "iat": maker.now_s}
    forged = [
        maker.raw(header, claims, maker.other),
        maker.raw({**header, "jwk": key.as_dict(private=True)}, claims, key),
        maker.raw({**header, "typ": "JWT"}, claims, key),
        maker.raw({**header, "jwk": None}, claims, key),
        maker.raw({**header, "alg": "none"}, claims, key),
        maker.raw({**header, "crit": ["x"]}, claims, key),
        b"", b"..", b"a.b.c",
    ]  # fmt: skip
    for proof in forged:
        with pytest.raises(Unfit):
            checked(proof, **HERE, token=None, now_s=maker.now_s)


def test_a_nonce_is_of_its_minute_and_of_these_peppers():
    """The same everywhere, also after a change of peppers; not long before, not long after."""
    old, new = hasher(b"a" * 32), hasher(b"b" * 32)
    here, there, changed = Nonces([old]), Nonces([old]), Nonces([new, old])
    nonce = here.at(6000.0)
    holds = {at_s: there.holds(nonce, at_s) for at_s in (5939, 5940, 6000, 6059, 6119, 6120)}
    assert holds == {5939: False, 5940: True, 6000: True, 6059: True, 6119: True, 6120: False}
    assert changed.holds(nonce, 6000.0)
    assert changed.at(6000.0) != nonce
    assert not here.holds(changed.at(6000.0), 6000.0)
    assert not here.holds("", 6000.0)
