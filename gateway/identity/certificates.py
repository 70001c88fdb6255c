"""This file exists to name what a caller's proven certificate calls itself, in one way each.

Owns   the words: `dn:` and the subject, `dns:` and `uri:` and each of those alternative names.
Fails  never: without a certificate there are none.
Source RFC 8705 section 2.1.2 (what a client may be known by), RFC 4514 section 2 (subjects).
"""

import re
import ssl
from collections.abc import Iterable
from typing import Any

_SHORT = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU",
    "countryName": "C", "localityName": "L", "stateOrProvinceName": "ST",
    "streetAddress": "STREET", "domainComponent": "DC", "userId": "UID",
}  # fmt: skip
_ALTERNATIVE = {"DNS": "dns", "URI": "uri"}
_ESCAPED = re.compile(r'[,+"\\<>;]|^[ #]| $')


def names(tls: ssl.SSLObject | None) -> tuple[str, ...]:
    """Of the certificate the handshake has verified."""
    shown: dict[str, Any] = (tls.getpeercert() or {}) if tls is not None else {}
    parts = shown.get("subject", ())
    found = [f"dn:{_subject(parts)}"] if parts else []
    found += [
        f"{_ALTERNATIVE[kind]}:{value.lower() if kind == 'DNS' else value}"
        for kind, value in shown.get("subjectAltName", ())
        if kind in _ALTERNATIVE
    ]
    return tuple(found)


def _subject(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """The last part first, as `openssl x509 -subject -nameopt RFC2253,-esc_msb` has it."""
    told = ("+".join(_pair(*pair) for pair in part) for part in parts)
    return ",".join(reversed(list(told)))


def _pair(kind: str, value: str) -> str:
    return f"{_SHORT.get(kind, kind)}={_ESCAPED.sub(lambda found: chr(92) + found[0], value)}"
