"""This file exists to ask the control plane over HTTP, without the memory of a client library.

Every worker would pay for one: a fifth of what it takes, for one question in three seconds.

Owns   one connection, kept open between questions; one question at a time.
Fails  OSError: no answer, or none in time. It may have been heard: ask only what may come twice.
Source RFC 9112 sections 6.3 (length of a reply) and 9.3.1 (a line that was closed while idle).
"""

import asyncio
import ssl
from collections.abc import Sequence
from functools import cached_property
from urllib.parse import quote, urlsplit

import httptools

_CONNECT_S = 3.0
_PIECE_BYTES = 262_144
_PORTS = {"http": 80, "https": 443}


class Line:
    """To one origin, `http(s)://host[:port]`, and whatever path it is below."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._authority = parts.netloc
        self._below = parts.path.rstrip("/")
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        within_s: float,
        token: str,
        query: Sequence[tuple[str, object]] = (),
        json: bytes = b"",
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        asked = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query)
        target = self._below + path + ("?" + asked if asked else "")
        lines = [f"{method} {target} HTTP/1.1", f"host: {self._authority}"]
        lines.append(f"authorization: Bearer {token}")
        if json:
            lines += ["content-type: application/json", f"content-length: {len(json)}"]
        sent = "\r\n".join((*lines, "", "")).encode() + json
        try:
            async with asyncio.timeout(within_s):
                return await self._answered(sent)
        except BaseException:
            self.close()  # whatever comes on it now is no answer to the next question
            raise

    def close(self) -> None:
        """Twice is once."""
        if self._ends is not None:
            self._ends[1].transport.abort()
            self._ends = None

    async def _answered(self, sent: bytes) -> tuple[int, bytes]:
        again = self._ends is not None
        while True:
            reader, writer = self._ends = self._ends or await self._opened()
            reply = _Reply()
            writer.write(sent)
            try:
                await reply.read(reader)
            except OSError:
                if not again or reply.begun:
                    raise
                again = False  # closed while it was idle: the question was not seen
                self.close()
                continue
            if not reply.stays:
                self.close()
            return reply.status, b"".join(reply.pieces)

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_connection(
                self._host, self._port, ssl=self._trust if self._secure else None
            )

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """The authorities of this machine, or those SSL_CERT_FILE names."""
        return ssl.create_default_context()


class _Reply:
    """What httptools reads."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.pieces: list[bytes] = []
        self.status = 0
        self.begun = self.stays = self._whole = False

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Until it is whole."""
        while not self._whole:
            piece = await reader.read(_PIECE_BYTES)
            if not piece:
                raise ConnectionResetError("the control plane closed the line")
            self.begun = True
            try:
                self._parser.feed_data(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                raise ConnectionError(f"no HTTP: {error!r}") from error

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("more than a reply")

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._whole = self.status >= 200
        self.stays = self._parser.should_keep_alive()
