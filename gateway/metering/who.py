"""This file exists to say whose requests are counted together, so that no two ever meet by name.

Owns   the key of a gauge: a hash over length-prefixed parts; addresses as one subscriber has them.
Fails  never: what is no address counts as it is written.
Source RFC 4291 section 2.5.5.2 (IPv4-mapped addresses); a /64 is what one subscriber gets.
"""

from collections.abc import Iterable
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address


def subscriber(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one; an IPv4-mapped one is the IPv4 one."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def key_of(parts: Iterable[str]) -> str:
    """The same for the same parts only: `a/b`, `c` and `a`, `b/c` differ, and so do 1 and 2."""
    told = hash_input(parts)
    return blake2b(told, digest_size=16).hexdigest()


def hash_input(parts: Iterable[str]) -> bytes:
    """Each part behind its length."""
    raw = [part.encode() for part in parts]
    return b"".join(b"%d:%b" % (len(part), part) for part in raw)
