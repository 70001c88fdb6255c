"""A signed assertion gets a session, and only a right one does."""

import time

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def ask(org, signing):
    """Ask for a session with changed claims or another key."""

    def ask(key=signing, **changed):
        claims = {
            "iss": "key", "sub": "robot@firm.example", "aud": "https://login.salesforce.com",
            "exp": int(time.time()) + 120,
        }  # fmt: skip
        form = {
            "grant_type": GRANT,
            "assertion": jwt.encode({"alg": "RS256"}, claims | changed, key),
        }
        return httpx.post(f"{org.url}/salesforce/services/oauth2/token", data=form)

    return ask


def test_a_session_comes_for_a_signed_assertion(org, ask):
    """Neither signature, issued_at nor a lifetime are told; My Domain may be the audience."""
    place = f"{org.url}/salesforce"
    for reply in (ask(), ask(aud=place)):
        expected = ["access_token", "id", "instance_url", "scope", "token_type"]
        assert sorted(reply.json()) == expected
        assert reply.json()["instance_url"] == place
        bearer = {"authorization": f"Bearer {reply.json()['access_token']}"}
        assert httpx.get(f"{place}/services/data/v62.0/limits", headers=bearer).status_code == 200


@pytest.mark.parametrize("changed", [
    {"key": RSAKey.generate_key(2048)}, {"iss": "nobody"}, {"sub": "somebody@firm.example"},
    {"aud": "https://elsewhere.example"}, {"exp": 1},
])  # fmt: skip
def test_a_wrong_assertion_is_an_invalid_grant(ask, changed):
    """400 with an object, not an array."""
    reply = ask(**changed)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")
    assert reply.json()["error_description"]
