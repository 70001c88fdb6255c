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

# What a line is worth: a length when >= 0, else one of these.
_PASS, _DROP, _STRANGE = -1, -2, -3

_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) [\x20-\x7e]*").fullmatch
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
    rb"[\x21-\x7e\x80-\xff])?)"
).fullmatch
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,14}").fullmatch

_statuses: dict[bytes, int] = {}
_lines: dict[bytes, int] = {}


def head(data: bytes) -> tuple[int, list[bytes], int, int] | None:
    """Status, the lines to pass on, the body's length, and where in `data` it begins."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    status = _statuses.get(first)
    if status is None:
        status = _judge_status(first)
    if not status or len(lines) > LINES_MAX:
        return None
    length = -1
    passed = []
    for line in lines:
        worth = _lines.get(line)
        if worth is None:
            worth = _judge(line)
        if worth == _PASS:
            passed.append(line)
        elif worth >= 0:
            if length >= 0:
                return None
            length = worth
        elif worth == _STRANGE:
            return None
    return (status, passed, length, end + 4) if length >= 0 else None


def _judge_status(line: bytes) -> int:
    """0 for what is not plain: interim replies, and those that have no body whatever they say."""
    found = _STATUS(line)
    status = int(found[1]) if found else 0
    if status in (204, 205, 304):
        status = 0
    if len(line) <= _REMEMBERED_BYTES:
        if len(_statuses) >= _REMEMBERED_MAX:
            _statuses.clear()
        _statuses[line] = status
    return status


def _judge(line: bytes) -> int:
    found = _FIELD(line)
    if found is None:
        return _STRANGE
    name, value = found[1].lower(), found[2]
    worth = _DROP if name in REPLY_DROPS else _PASS
    if name == b"content-length":
        worth = int(value) if _LENGTH(value) else _STRANGE
    elif name in (b"transfer-encoding", b"upgrade"):
        worth = _STRANGE
    elif name in (b"connection", b"proxy-connection"):
        worth = _DROP if value.lower() == b"keep-alive" else _STRANGE
    if len(line) <= _REMEMBERED_BYTES:
        if len(_lines) >= _REMEMBERED_MAX:
            _lines.clear()
        _lines[line] = worth
    return worth
