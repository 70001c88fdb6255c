"""This file exists to define what an API key looks like and what we keep instead of it.

Owns   the format `fw_<live|test>_<22+ base62>_<6 base62 of crc32>`; the keyed hash; the peppers.
Fails  ValueError on a pepper that is too short or a file that is not ours.
Source NIST FIPS 198-1 (HMAC); CRC-32 as in zlib. The checksum only spares look-ups for typing
       mistakes and scanner noise; it proves nothing.
"""

import hashlib
import hmac
import os
import re
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

Environment = Literal["live", "test"]

DISPLAY_CHARS = 12
RANDOM_CHARS = 24
_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [bytes((high, low)) for high in _DIGITS for low in _DIGITS]
_SHA256 = hashlib.sha256
_FORM = re.compile(rb"fw_(?:live|test)_[0-9A-Za-z]{22,64}_[0-9A-Za-z]{6}")
_PEPPER_BYTES = 32


class Peppers(Struct, frozen=True):
    """Secrets that key the hash, by id. `current` hashes new keys; the others still verify."""

    current: str
    secrets: dict[str, bytes]

    def digest(self, key: bytes) -> tuple[str, bytes]:
        """Pepper id and hash of a new key."""
        return self.current, digest(self.secrets[self.current], key)


def mint(environment: Environment) -> str:
    """A new key. It is shown once; nobody can read it back from what we keep."""
    number = secrets.randbelow(62**RANDOM_CHARS)
    body = beginning(environment).encode() + _base62(number, RANDOM_CHARS)
    return (body + b"_" + _checksum(body)).decode()


def well_formed(key: bytes) -> bool:
    """False for anything we cannot have minted; asked before any look-up."""
    return _FORM.fullmatch(key) is not None and key[-6:] == _checksum(key[:-7])


def digest(pepper: bytes, key: bytes) -> bytes:
    """What is stored and looked up: HMAC-SHA256, 32 bytes."""
    return hmac.digest(pepper, key, "sha256")


def hasher(pepper: bytes) -> Callable[[bytes], bytes]:
    """`digest` with the pepper's half of the work done once: a third of the time a request."""
    block = (
        pepper.ljust(64, b"\0") if len(pepper) <= 64 else _SHA256(pepper).digest().ljust(64, b"\0")
    )
    inner = _SHA256(bytes(byte ^ 0x36 for byte in block))
    outer = _SHA256(bytes(byte ^ 0x5C for byte in block))

    def hashed(key: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(key)
        second.update(first.digest())
        return second.digest()

    return hashed


def display(key: str) -> str:
    """The part that may be shown again: `fw_live_AbCd`."""
    return key[:DISPLAY_CHARS]


def beginning(environment: Environment) -> str:
    """Of every key of that kind."""
    return f"fw_{environment}_"


def is_test(display: str) -> bool:
    """Of a key we made, by the part that may be shown again."""
    return display.startswith(beginning("test"))


def peppers(home: Path) -> Peppers:
    """From `gateway/peppers.json` under the home folder (0600), made on first use."""
    file = home / "gateway" / "peppers.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Peppers("p1", {"p1": secrets.token_bytes(_PEPPER_BYTES)})
        write_private(file, msgspec.json.encode(made), replace=False)
    found = msgspec.json.decode(file.read_bytes(), type=Peppers)
    if found.current not in found.secrets:
        raise ValueError(f"{file}: the current pepper is not among the secrets")
    if short := [name for name, secret in found.secrets.items() if len(secret) < _PEPPER_BYTES]:
        raise ValueError(f"{file}: peppers need {_PEPPER_BYTES} bytes, see {', '.join(short)}")
    return found


def write_private(file: Path, body: bytes, *, replace: bool = True) -> None:
    """Whole or not at all, readable by the owner only. replace=False keeps what is there."""
    part = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(body)
        stream.flush()
        os.fsync(stream.fileno())
    if replace:
        part.replace(file)
        return
    try:
        os.link(part, file)  # fails when another process was first: then its file counts
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _checksum(body: bytes) -> bytes:
    high, low = divmod(zlib.crc32(body), 62 * 62)
    high, middle = divmod(high, 62 * 62)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def _base62(number: int, chars: int) -> bytes:
    out = bytearray(chars)
    for at in range(chars - 1, -1, -1):
        number, digit = divmod(number, 62)
        out[at] = _DIGITS[digit]
    return bytes(out)
