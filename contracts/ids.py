"""Our ids, foreign references, and keys that survive a crash.

Source  RFC 9562 (UUID version 7); domain.md B.0 (cross-references), C.4 (external_ref).
"""

import hashlib
import os
from base64 import b32encode
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct


class Ref(Struct, frozen=True, order=True):
    """A record as a system names it. system: the instance, e.g. `kantata`. id: its own, text."""

    system: str
    id: str

    def __str__(self) -> str:
        return f"{self.system}:{self.id}"


def uuid7(at: datetime) -> str:
    """A time-ordered id: 48 bits of milliseconds, 74 random bits. at: an aware instant."""
    millis = int(at.timestamp() * 1000) & ((1 << 48) - 1)
    noise = int.from_bytes(os.urandom(10), "big")
    value = (
        (millis << 80)
        | (0x7 << 76)
        | ((noise >> 68 & 0xFFF) << 64)
        | (0b10 << 62)
        | (noise & ((1 << 62) - 1))
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def digest(parts: Sequence[str | None]) -> str:
    """sha256 over the parts joined by `|` (UTF-8, empty for None), in base32 without padding."""
    text = "|".join(part or "" for part in parts)
    return b32encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def external_ref(tenant: str, legal_entity: str, kind: str, group_key: Sequence[str | None]) -> str:
    """The document key we write into the ERP: same group, same key, whatever crashed in between.

    kind: INV or CN. At most 40 characters for the usual tenant and entity codes.
    """
    return f"{tenant}-{legal_entity}-{kind}-{digest(group_key)[:16]}"
