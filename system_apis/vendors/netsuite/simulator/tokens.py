"""Gives access tokens for signed assertions (OAuth 2.0 client credentials with a certificate)."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from system_apis.simulator import Kit, Reply
from system_apis.vendors.netsuite.simulator.refusals import Refused

ALGORITHMS = ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE_S = 3600


class Bad(Exception):
    """error, description of RFC 6749."""


class Desk:
    """Tokens of the account. Kinds: certificate (id = kid) and accessToken (id = token)."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._known: dict[str, tuple[datetime, Mapping[str, Any]]] = {}

    def issue(self, body: bytes, url: str) -> Reply:
        """Answer the token endpoint."""
        form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        try:
            if form.get("grant_type") != "client_credentials":
                raise Bad("unsupported_grant_type", "grant_type must be client_credentials")
            if form.get("client_assertion_type") != ASSERTION:
                raise Bad("invalid_request", "client_assertion_type")
            kid, claims = self._verified(form.get("client_assertion", ""), url)
        except Bad as bad:
            error, words = bad.args
            said = msgspec.json.encode({"error": error, "error_description": words})
            return Reply(400, said, {"content-type": "application/json"})
        return self._token(kid, claims)

    def holder(self, header: str) -> Mapping[str, Any]:
        """The certificate behind a bearer token, else 401."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _login("Invalid login attempt.")
        found = self._known.get(token) or self._recall(token)
        if found is None or found[0] <= self._kit.clock():
            raise _login("Invalid login attempt. The token is unknown or has expired.")
        return found[1]

    def _token(self, kid: str, claims: Mapping[str, Any]) -> Reply:
        token = f"{self._kit.random.getrandbits(64):016x}.{self._kit.store.next_id('accessToken')}"
        until = self._kit.clock() + timedelta(seconds=LIFE_S)
        doc = {"kid": kid, "client_id": claims["iss"], "expires_at": until.isoformat()}
        self._kit.store.put("accessToken", token, doc)
        body = {"access_token": token, "expires_in": str(LIFE_S), "token_type": "bearer"}
        return Reply(200, msgspec.json.encode(body), {"content-type": "application/json"})

    def _recall(self, token: str) -> tuple[datetime, Mapping[str, Any]] | None:
        kept = self._kit.store.get("accessToken", token)
        certificate = self._kit.store.get("certificate", kept["kid"]) if kept else None
        if kept is None or certificate is None:
            return None
        self._known[token] = datetime.fromisoformat(kept["expires_at"]), certificate
        return self._known[token]

    def _verified(self, assertion: str, url: str) -> tuple[str, Mapping[str, Any]]:
        head = _head(assertion)
        if head.get("alg") not in ALGORITHMS:
            raise Bad("invalid_client", f"alg {head.get('alg')} is not accepted")
        kid = str(head.get("kid", ""))
        certificate = self._kit.store.get("certificate", kid)
        if certificate is None:
            raise Bad("invalid_client", "no certificate of this kid is mapped")
        try:
            key = _key(certificate["public_key"])
            claims = jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError) as error:
            raise Bad("invalid_client", f"the assertion does not verify: {error}") from error
        self._check(claims, certificate, url)
        return kid, claims

    def _check(self, claims: Mapping[str, Any], certificate: Mapping[str, Any], url: str) -> None:
        if claims.get("iss") != certificate["client_id"]:
            raise Bad("invalid_client", "iss is not the client id of the certificate")
        scope = claims.get("scope", "")
        scopes = scope if isinstance(scope, list) else str(scope).replace(" ", ",").split(",")
        if "rest_webservices" not in scopes:
            raise Bad("invalid_scope", "scope must hold rest_webservices")
        aud = claims.get("aud")
        if url not in (aud if isinstance(aud, list) else [aud]):
            raise Bad("invalid_grant", f"aud must be {url}")
        now_s = self._kit.clock().timestamp()
        issued_s, until_s = claims.get("iat"), claims.get("exp")
        if not isinstance(issued_s, int | float) or not isinstance(until_s, int | float):
            raise Bad("invalid_grant", "iat and exp are required")
        if until_s <= now_s or issued_s > now_s + 60 or until_s - issued_s > 3600:
            raise Bad("invalid_grant", "exp must be later than now and within 60 minutes of iat")


def _head(assertion: str) -> dict[str, Any]:
    first = assertion.partition(".")[0]
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise Bad("invalid_request", "client_assertion is not a JWT") from error
    return found if isinstance(found, dict) else {}


def _key(public_key: Any) -> ECKey | RSAKey:
    """A JWK object or PEM text."""
    if isinstance(public_key, dict):
        if public_key.get("kty") == "EC":
            return ECKey.import_key(public_key)
        return RSAKey.import_key(public_key)
    try:
        return ECKey.import_key(public_key)
    except JoseError:
        return RSAKey.import_key(public_key)


def _login(words: str) -> Refused:
    challenge = 'Bearer realm="NetSuite", error="invalid_token"'
    return Refused(401, "INVALID_LOGIN", words, headers={"www-authenticate": challenge})
