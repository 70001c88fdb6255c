"""This file exists to prove which client is calling the authorization server, one way at a time.

Owns   the methods: a secret (Basic or in the form), a signed assertion, a certificate, or none for
       clients that cannot keep a secret.
Fails  invalid_client, in the same words for a client nobody knows and one that proves nothing;
       invalid_request when two ways are tried at once.
Source RFC 6749 section 2.3, RFC 7523 section 3, RFC 8705 section 2.
"""

import hmac
from base64 import b64decode
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock
from gateway.identity.clients import Client, known
from gateway.identity.grants import first_time
from gateway.identity.jose import Unfit, keys_of, taken_apart

Pairs = tuple[tuple[str, str], ...]

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE_S = 300
_BY_CERTIFICATE = ("self_signed_tls_client_auth", "tls_client_auth")


class Given(Struct, frozen=True):
    """A request as it came. certificate: thumbprint, base64url, as the data plane saw it; names:
    what it calls itself.
    """

    method: str
    path: str
    headers: dict[str, str]
    query: Pairs = ()
    form: Pairs = ()
    certificate: str = ""
    names: tuple[str, ...] = ()


def prove(connection: Connection, given: Given, issuer: str) -> tuple[Client, str]:
    """The client, and how it proved itself."""
    form = dict(given.form)
    if len(form) != len(given.form):
        raise InvalidRequestError("A parameter is given twice.")
    basic = _basic(given.headers.get("authorization", ""))
    ways = [
        basic is not None, "client_secret" in form, "client_assertion" in form,
    ]  # fmt: skip
    if sum(ways) > 1:
        raise InvalidRequestError("A client proves itself in one way.")
    if basic is not None:
        id, method, proof = basic[0], "client_secret_basic", basic[1]
    elif "client_secret" in form:
        id, method, proof = form.get("client_id", ""), "client_secret_post", form["client_secret"]
    elif "client_assertion" in form:
        proof, method = form["client_assertion"], "private_key_jwt"
        id = _claimed(proof) if form.get("client_assertion_type") == ASSERTION else ""
    else:
        id, method, proof = form.get("client_id", ""), "none", ""
    client = known(connection, id) if id and len(id) < 200 else None
    if client is not None and method == "none" and client.row.method in _BY_CERTIFICATE:
        method = client.row.method
    said = form.get("client_id")
    if client is None or client.row.method != method or (said and said != client.id):
        raise _nobody()
    holds = (
        _certified(client, method, given)
        if method in _BY_CERTIFICATE
        else _holds(connection, client, method, proof, issuer)
    )
    if not holds:
        raise _nobody()
    return client, method


def _holds(connection: Connection, client: Client, method: str, proof: str, issuer: str) -> bool:
    match method:
        case "client_secret_basic" | "client_secret_post":
            return client.check_client_secret(proof)
        case "private_key_jwt":
            return _asserted(connection, client, proof, issuer)
    return method == "none"


def _certified(client: Client, method: str, given: Given) -> bool:
    """By the certificate itself, or by what one that the data plane has verified calls itself."""
    kept = client.row.certificate
    if method == "tls_client_auth":
        return bool(kept and given.certificate) and kept in given.names
    shown = given.certificate
    return bool(shown and kept) and hmac.compare_digest(shown.encode(), kept.encode())


def _asserted(connection: Connection, client: Client, assertion: str, issuer: str) -> bool:
    """Signed by one of the client's keys, for us, for now, for the first time."""
    now_s = clock.now().timestamp()
    try:
        parsed = taken_apart(assertion.encode())
        keys = keys_of(client.row.keys)
        kid = parsed.header.get("kid")
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            return False
        key.verify(parsed)
    except (Unfit, UnicodeError):
        return False
    claims = parsed.claims
    until_s, jti, audience = claims.get("exp"), claims.get("jti"), claims.get("aud")
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        return False
    if audience not in (issuer, f"{issuer}/oauth/token", [issuer], [f"{issuer}/oauth/token"]):
        return False
    if type(until_s) is not int or not now_s < until_s <= now_s + ASSERTION_LIFE_S:
        return False
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        return False
    return first_time(connection, client.id, jti, until_s * 1000)


def _claimed(assertion: str) -> str:
    try:
        subject = taken_apart(assertion.encode()).claims.get("sub")
    except (Unfit, UnicodeError):
        return ""
    return subject if isinstance(subject, str) else ""


def _basic(header: str) -> tuple[str, str] | None:
    """Name and secret are form-encoded first (RFC 6749 section 2.3.1)."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(name), unquote_plus(secret)


def _nobody() -> InvalidClientError:
    return InvalidClientError("The client is not known or not proven.", status_code=401)
