"""This file exists to name the settings of the two planes, with their units and defaults.

Owns   the shapes of the sections `gateway` (data plane) and `control` (control plane).
Fails  nothing; chassis.settings refuses what does not fit.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from chassis.settings import Secret
from gateway.routes import Route, Upstream

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
HttpUrl = Annotated[
    str, Meta(pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^?#\s]*)?$")
]
Address = Annotated[str, Meta(pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+)?$")]


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds. head_s: for the head of a request. idle_s: between requests. linger_s: to let a
    caller read a refusal. drain_s: for running exchanges at the end. connections: most at once.
    """

    head_s: Seconds = 10.0
    idle_s: Seconds = 75.0
    linger_s: Seconds = 5.0
    drain_s: Seconds = 8.0
    connections: Annotated[int, Meta(ge=1)] = 8_000


class GatewaySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The data plane. port: public. internal_port: /health, /ready, /metrics; never public.
    workers: processes that share both ports. trusted_hops: proxies of ours in front. redis_url: a
    Redis in which all workers of all replicas count limits together, and know DPoP proofs.
    proofs_when_store_down: while it is away nobody comes in by DPoP, or as this gateway knows.

    control_url: where snapshots come from. token: shared with the control plane; empty reads
    `gateway/data-plane.token` under the home folder. certificate, private_key: PEM files, read
    anew when they change. client_*: callers' own certificates, and who may have signed them.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    redis_url: str = ""
    proofs_when_store_down: Literal["closed", "local"] = "closed"
    trusted_hops: Annotated[int, Meta(ge=0, le=10)] = 0
    internal_host: str = "127.0.0.1"
    internal_port: Port = 8081
    control_url: HttpUrl = "http://127.0.0.1:8090"
    token: Secret | None = None
    certificate: str = ""
    private_key: str = ""
    client_certificates: Literal["none", "optional", "required"] = "none"
    client_ca: str = ""
    client_revoked: str = ""
    limits: Limits = Limits()


class IdentitySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who somebody is. access_token_s, refresh_days: how long tokens and grants live. logins,
    token_requests: limits for one address, e.g. `10/minute;100/hour`, counted in redis_url.
    trusted_hops: proxies before the admin port. loopback_issuers: http on this machine, for tests.
    oidc_*: where admins sign in, besides local passwords.
    """

    access_token_s: Annotated[int, Meta(ge=30, le=3600)] = 600
    refresh_days: Annotated[int, Meta(ge=1, le=365)] = 30
    logins: str = "10/minute;100/hour"
    token_requests: str = "120/minute"
    redis_url: str = ""
    trusted_hops: Annotated[int, Meta(ge=0, le=5)] = 0
    loopback_issuers: bool = False
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: Secret | None = None


class ControlSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The control plane. database_url: empty is SQLite under the home folder.

    sandbox: no tier has live data, so that test keys reach them as well.
    upstreams: origins by name, commas between instances; the tiers' names are theirs by default.
    routes: by name, replacing the tiers' own when any are given. hosts: names the public port
    answers to, none means any. leak_grace_s: how long a key found in public works on. admin_url:
    where admins reach this plane; issuer_url: where partners reach its `/oauth`, the name in its
    tokens; empty is this address.
    """

    host: str = "127.0.0.1"
    port: Port = 8090
    database_url: str = ""
    token: Secret | None = None
    system_url: str = "http://127.0.0.1:8101"
    process_url: str = "http://127.0.0.1:8102"
    experience_url: str = "http://127.0.0.1:8103"
    sandbox: bool = False
    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[Route, ...] = ()
    hosts: tuple[str, ...] = ()
    leak_grace_s: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 0
    admin_url: Address = ""
    issuer_url: Address = ""
    identity: IdentitySettings = IdentitySettings()

    @property
    def admins_at(self) -> str:
        """Origin of the console and of signing in."""
        return self.admin_url or f"http://{self.host}:{self.port}"

    @property
    def issuer(self) -> str:
        """Who our tokens say they are from."""
        return self.issuer_url or f"http://{self.host}:{self.port}"
