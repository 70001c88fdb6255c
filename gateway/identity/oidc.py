"""This file exists to let admins sign in at the firm's own identity provider.

Owns   nothing for long: state, nonce and PKCE verifier in a signed cookie, for ten minutes.
Fails  UNAUTHENTICATED with one text for all that can be wrong with an answer; UNAVAILABLE when the
       provider cannot be asked.
Source OpenID Connect Core 1.0 sections 3.1.2 and 3.1.3.7; RFC 9700; by authlib's Starlette client.
"""

from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from contracts.problem import Fault, Problem
from gateway.settings import IdentitySettings

_ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")
_WAIT_S = 10


class Provider:
    """One identity provider, as the settings name it."""

    def __init__(self, settings: IdentitySettings, callback: str) -> None:
        secret = settings.oidc_client_secret
        self.issuer = settings.oidc_issuer
        self._callback = callback
        self._oauth = OAuth()
        self._oauth.register(
            "firm",
            server_metadata_url=f"{self.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_id=settings.oidc_client_id,
            client_secret=secret.reveal() if secret else None,
            client_kwargs={
                "scope": "openid email profile", "code_challenge_method": "S256",
                "timeout": _WAIT_S, "trust_env": False,
            },
        )  # fmt: skip

    async def begin(self, request: Request) -> Response:
        """Off to the provider, with state, nonce and PKCE."""
        try:
            await self._metadata()
            reply: Response = await self._oauth.firm.authorize_redirect(request, self._callback)
        except (AuthlibBaseError, RuntimeError, ValueError, OSError) as error:
            raise _away(error) from error
        return reply

    async def finish(self, request: Request) -> tuple[str, ...]:
        """Who the provider says came back: `sub`, and an e-mail address it has verified."""
        try:
            await self._metadata()
            token = await self._oauth.firm.authorize_access_token(
                request, claims_options={"iss": {"essential": True, "values": [self.issuer]}}
            )
            claims: dict[str, Any] = token["userinfo"]
        except (AuthlibBaseError, JoseError, KeyError, ValueError, RuntimeError) as error:
            say = "The identity provider's answer does not hold. Begin again."
            raise Problem(Fault.UNAUTHENTICATED, say, because=repr(error)) from error
        subject = str(claims["sub"])
        # One that looks like an address is a name here only when the provider verified it as one:
        # where people choose their own `sub`, it could be anybody's.
        names = [] if "@" in subject else [subject]
        if claims.get("email_verified") is True and isinstance(claims.get("email"), str):
            names.append(claims["email"])
        return tuple(names)

    async def _metadata(self) -> None:
        """It must be who we think, and its algorithms are ours to choose."""
        found = await self._oauth.firm.load_server_metadata()
        if found.get("issuer") != self.issuer:
            raise ValueError(f"the provider calls itself {found.get('issuer')!r}")
        said = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        found["id_token_signing_alg_values_supported"] = [a for a in said if a in _ALGORITHMS]


def _away(error: BaseException) -> Problem:
    say = "The identity provider cannot be asked now."
    return Problem(Fault.UNAVAILABLE, say, because=repr(error))
