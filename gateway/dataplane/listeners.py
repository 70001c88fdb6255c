"""This file exists to open the public port, plain or TLS, and to change its certificates in flight.

Owns   the listening sockets, and the TLS context new connections get. A new pair is read into a
       context of its own first; the sockets stay, so no connection is refused in between.
Fails  at start on a pair that does not fit; later such a pair is refused and the old one stays.
Source RFC 8446 section 9; RFC 8705 section 3.1 (thumbprint of a client's certificate).
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from chassis.log import log

_LOG = log("gateway.tls")
_LOOK_S = 1.0
_BACKLOG = 4096

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
Stamp = tuple[tuple[int, int, int] | None, ...]


class Tls(Struct, frozen=True):
    """PEM files. client_ca: who may sign callers' certificates. revoked: their revocation lists."""

    certificate: str
    private_key: str = ""
    client_ca: str = ""
    revoked: str = ""
    client_certificates: Literal["none", "optional", "required"] = "none"

    def context(self) -> ssl.SSLContext:
        """Read everything anew. ValueError or OSError when it does not fit together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.certificate, self.private_key or None)
        if self.client_certificates == "none":
            return context
        if not self.client_ca:
            raise ValueError("client certificates are asked for, but client_ca names no bundle")
        context.load_verify_locations(self.client_ca)
        if self.revoked:
            context.load_verify_locations(self.revoked)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        context.verify_mode = _VERIFY[self.client_certificates]
        return context

    def stamp(self) -> Stamp:
        """Changes when one of the files does."""
        names = (self.certificate, self.private_key, self.client_ca, self.revoked)
        return tuple(_stamp(Path(name)) for name in names if name)


class Listener:
    """One public port. `open`, then `reload` on SIGHUP; changed files are seen within seconds."""

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        tls: Tls | None = None,
        *,
        handshake_s: float = 10.0,
        look_s: float = _LOOK_S,
    ) -> None:
        self._factory = factory
        self._tls = tls
        self._handshake_s = handshake_s
        self._look_s = look_s
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._stamp: Stamp = ()
        self._watching: asyncio.Task[None] | None = None
        self.reloads = self.refused_reloads = 0

    async def open(self, host: str, port: int, *, share_port: bool = False) -> int:
        """Listen; 0 takes a free port. share_port: other workers listen there too."""
        context = None
        if self._tls is not None:
            self._stamp = self._tls.stamp()
            context = self._tls.context()
        self._sockets = bind(host, port, share_port=share_port)
        await self._serve(context)
        if self._tls is not None:
            self._watching = asyncio.get_running_loop().create_task(self._watch(self._tls))
        return int(self._sockets[0].getsockname()[1])

    async def reload(self) -> bool:
        """Read the certificates anew; False when they are refused. Open connections go on."""
        if self._tls is None or not self._sockets:
            return False
        self._stamp = self._tls.stamp()
        try:
            context = self._tls.context()
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            self.refused_reloads += 1
            _LOG.error("certificate.refused", file=self._tls.certificate, error=str(error))
            return False
        before, self._servers = self._servers, []
        await self._serve(context)
        for server in before:
            server.close()
        self.reloads += 1
        _LOG.info("certificate.taken", file=self._tls.certificate)
        return True

    def close(self) -> None:
        """No new connections; those there are stay."""
        if self._watching is not None:
            self._watching.cancel()
        for server in self._servers:
            server.close()
        for one in self._sockets:
            one.close()
        self._sockets = []

    async def _serve(self, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = None if context is None else self._handshake_s
        for one in self._sockets:
            self._servers.append(
                await loop.create_server(
                    self._factory, sock=one.dup(), ssl=context, backlog=_BACKLOG,
                    ssl_handshake_timeout=timeout_s,
                )
            )  # fmt: skip

    async def _watch(self, tls: Tls) -> None:
        """A pair is two files: take them when nothing changed between two looks."""
        seen = self._stamp
        while True:
            await asyncio.sleep(self._look_s)
            now = tls.stamp()
            if now == seen != self._stamp:
                await self.reload()
            seen = now


def bind(host: str, port: int, *, share_port: bool = False) -> list[socket.socket]:
    """Bound sockets, one an address of the host; all with the same port."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in found:
            one = socket.socket(family, kind, protocol)
            bound.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if share_port:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if port == 0 and len(bound) > 1:
                address = (address[0], bound[0].getsockname()[1], *address[2:])
            one.bind(address)
    except OSError:
        for one in bound:
            one.close()
        raise
    return bound


def thumbprint(tls: ssl.SSLObject | None) -> bytes:
    """SHA-256 of the caller's proven certificate, 32 bytes; nothing when it showed none."""
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    return hashlib.sha256(shown).digest() if shown else b""


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
