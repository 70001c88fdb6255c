"""A running org with one connected app, which has a secret and a key."""

import httpx
import pytest
from joserfc.jwk import RSAKey

from sandbox.serve import running

FORM = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "s"}


@pytest.fixture(scope="session")
def signing():
    """The connected app's private key."""
    return RSAKey.generate_key(2048)


@pytest.fixture
def org(tmp_path, signing):
    with running(tmp_path, vendors=["salesforce"]) as up:
        app = {
            "client_secret": "s", "user_id": "0055e000000000AAAA", "username": "robot@firm.example",
            "public_key": signing.as_dict(private=False),
        }  # fmt: skip
        up.sandbox.houses["salesforce"].store.put("client", "key", app)
        yield up


@pytest.fixture
def store(org):
    return org.sandbox.houses["salesforce"].store


@pytest.fixture
def client(org):
    base = f"{org.url}/salesforce"
    token = httpx.post(f"{base}/services/oauth2/token", data=FORM).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{base}/services/data/v62.0/", headers=headers) as client:
        yield client
