"""This file exists to read the head of a plain reply without a parser call for every header.

A plain reply: HTTP/1.1, its whole head in one read, one plain Content-Length, no transfer coding,
a line that stays open, headers written `name: value`. Everything else goes to the parser, which
decides; nothing is accepted here that it would refuse. Tiers send the same header lines again and
again, so what a line means is remembered, up to a bound.

Owns   the memory of judged lines, shared by the connections of a worker.
Fails  never: None sends the reply to the parser.
Source RFC 9112 sections 4, 5 and 6.3.
"""

import re

from gateway.dataplane.heads import REPLY_DROPS

LINES_MAX = 128
_REMEMBERED_MAX = 2_000
_REMEMBERED_BYTES = 512

# What becomes of a line: itself to pass on, nothing, a length after a NUL (15 digits), or what
# no plain reply holds. No line has a NUL, so a plain reply has exactly one: that of its length.
_DROP, _STRANGE = b"", b"\0\0"

_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) [\x20-\x7e]*").fullmatch
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
    rb"[\x21-\x7e\x80-\xff])?)"
).fullmatch
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,14}").fullmatch


class _Lines(dict[bytes, bytes]):
    """By line; judged when it is met the first time."""

    def __missing__(self, line: bytes) -> bytes:
        becomes = _judge(line)
        if len(line) <= _REMEMBERED_BYTES:
            if len(self) >= _REMEMBERED_MAX:
                self.clear()
            self[line] = becomes
        return becomes


_statuses: dict[bytes, int] = {}
_becomes = _Lines().__getitem__


def head(data: bytes) -> tuple[int, bytes, int, int] | None:
    """Status, the lines to pass on, the body's length, and where in `data` it begins."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    status = _statuses.get(first) or _judge_status(first)
    if not status or len(lines) > LINES_MAX:
        return None
    passed = b"".join(map(_becomes, lines))
    at = passed.find(b"\0")
    if at < 0 or passed.find(b"\0", at + 1) >= 0:
        return None
    return status, passed[:at] + passed[at + 16 :], int(passed[at + 1 : at + 16]), end + 4


def _judge_status(line: bytes) -> int:
    """0 for what is not plain: interim replies, and those that have no body whatever they say."""
    found = _STATUS(line)
    status = int(found[1]) if found else 0
    if status in (204, 205, 304):
        status = 0
    if status and len(line) <= _REMEMBERED_BYTES:
        if len(_statuses) >= _REMEMBERED_MAX:
            _statuses.clear()
        _statuses[line] = status
    return status


def _judge(line: bytes) -> bytes:
    found = _FIELD(line)
    if found is None:
        return _STRANGE
    name, value = found[1].lower(), found[2]
    if name == b"content-length":
        return b"\0%015d" % int(value) if _LENGTH(value) else _STRANGE
    if name in (b"transfer-encoding", b"upgrade"):
        return _STRANGE
    if name in (b"connection", b"proxy-connection"):
        return _DROP if value.lower() == b"keep-alive" else _STRANGE
    return _DROP if name in REPLY_DROPS else line + b"\r\n"
