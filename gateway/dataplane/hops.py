"""This file exists to know a caller's address behind proxies of ours, and behind nobody else's.

Owns   reading X-Forwarded-For and -Proto from the right, as many entries as there are proxies we
       run ourselves. With none, which is the default, a caller can claim nothing.
Fails  never: what cannot be an address counts for nothing, and the connection's own is taken.
Source RFC 7239 section 8.1 (only the entries trusted proxies wrote can be believed).
"""

from ipaddress import IPv6Address, ip_address

from gateway.policy import Pair


def client(headers: list[Pair], trusted: int, peer: str) -> str:
    """The address the outermost of our proxies saw. trusted: how many there are, 1 or more."""
    listed = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    entries = [entry.strip() for entry in listed.split(b",")] if listed else []
    for entry in entries[-trusted:]:
        return address(entry) or peer
    return peer


def scheme(headers: list[Pair], own: bytes) -> bytes:
    """What the nearest of our proxies says the caller used."""
    listed = b",".join(value for name, value in headers if name == b"x-forwarded-proto")
    said = listed.rpartition(b",")[2].strip().lower()
    return said if said in (b"http", b"https") else own


def address(entry: bytes) -> str:
    """One address in its one form: no port, no brackets, IPv4 out of IPv6; nothing if none."""
    text = entry.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.scope_id:
            return ""
        found = found.ipv4_mapped or found
    return str(found)
