"""This file exists to fetch one document from an address that somebody else has named.

Owns   the way there: the name is looked up once, judged, and that very address is connected to, so
       that a name cannot mean one address when it is judged and another when it is called. The name
       stays what the certificate must be for. No proxy, no redirect, bounded in time and size.
Fails  Unfetched, in words fit for whoever named the address.
Source CWE-918 (SSRF), CWE-367 (rebinding between check and use); RFC 3986 section 3.2.2.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, PyreqwestError

Address = IPv4Address | IPv6Address
Judge = Callable[[str, Sequence[Address]], str]
"""Scheme, and every address the name has: why they are not to be called, or nothing."""

_ADDRESSES_MOST = 4
_CONNECT_S = 3
# Nothing that two readers of addresses could take for different hosts.
_HOST = re.compile(r"[a-z0-9.-]{1,253}|[0-9a-f:.]{2,45}")


class Unfetched(Exception):
    """Why there is no document."""


async def fetch(url: str, judge: Judge, *, wait_s: float, most_bytes: int) -> bytes:
    """The body of a 200."""
    try:
        async with asyncio.timeout(wait_s):
            parts = _parts(url)
            addresses = await _addresses(parts)
            if why := judge(parts.scheme, addresses):
                raise Unfetched(why)
            return await _first_answer(url, parts, addresses, most_bytes)
    except TimeoutError as error:
        raise Unfetched(f"{url} does not answer within {wait_s:g} s") from error


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        fit = parts.port != 0 and _HOST.fullmatch(parts.hostname or "")
    except ValueError as error:
        raise Unfetched("not an address to ask") from error
    if not fit or parts.username is not None or parts.scheme not in ("http", "https"):
        raise Unfetched("not an address to ask")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


async def _addresses(parts: SplitResult) -> list[Address]:
    host = parts.hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, _port(parts))
    except OSError as error:
        raise Unfetched(f"{host} has no address") from error
    once = dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found)
    addresses = [ip_address(each) for each in once]
    return [getattr(each, "ipv4_mapped", None) or each for each in addresses]


async def _first_answer(
    url: str, parts: SplitResult, addresses: Sequence[Address], most_bytes: int
) -> bytes:
    for address in addresses[:_ADDRESSES_MOST]:
        builder = (
            ClientBuilder()
            .follow_redirects(False).no_proxy().http1_only()
            .gzip(False).brotli(False).zstd(False).deflate(False)
            .connect_timeout(timedelta(seconds=_CONNECT_S))
            .resolve(parts.hostname or "", str(address), _port(parts))
        )  # fmt: skip
        async with builder.build() as client:
            asked = client.get(url).header("accept", "application/json").build_streamed()
            try:
                async with asked as reply:
                    if reply.status != 200:  # a redirect is no answer
                        raise Unfetched(f"{url} answers {reply.status}")
                    body = b""
                    while (chunk := await reply.body_reader.read_chunk()) is not None:
                        body += bytes(chunk)
                        if len(body) > most_bytes:
                            raise Unfetched(f"{url} answers more than {most_bytes} bytes")
                    return body
            except (ConnectError, ConnectTimeoutError):
                continue
            except PyreqwestError as error:
                raise Unfetched(f"{url} does not answer") from error
    raise Unfetched(f"{url} cannot be reached")
