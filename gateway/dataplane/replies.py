"""This file exists to write the heads of replies: the upstream's, finished, and our own refusals.

Owns   the last say on framing and on `connection`; the policies' way back up the pipe.
Fails  never.
Source RFC 9112 sections 6 and 9.6; RFC 9457 (problem documents).
"""

from collections.abc import Iterable

import msgspec

from contracts.problem import Problem, document
from gateway.dataplane.heads import REPLY_DROPS, STATUS_LINE, status_line
from gateway.policy import Exchange, Pair

_ENCODE = msgspec.json.Encoder().encode


def finish_head(
    x: Exchange, status: int, out: list[bytes], length: bytes | None, *, bodiless: bool
) -> None:
    """Status line first (out[0] is kept for it), then what came, ours, and the framing."""
    x.status = status
    _back_up(x)
    out[0] = status_line(status)
    out.append(x.down_lines)
    for name, value in x.down:
        out += (name, b": ", value, b"\r\n")
    if length is not None and status != 204:
        out += (b"content-length: ", length, b"\r\n")
    elif not bodiless:
        if x.old:
            x.close = True
        else:
            x.chunked_reply = True
            out.append(b"transfer-encoding: chunked\r\n")
    out.append(_connection(x))
    x.head_sent = True


def plain(x: Exchange, status: int, lines: bytes, length: int, body: bytes) -> bytes:
    """The head of a reply of known length, and what of its body has come."""
    x.status = status
    if not x.request_done or x.link.worker.draining:
        x.close = True
    back = x.pipe.up[x.finished]
    if back:
        _back_up(x)
    down = x.down_lines
    if x.down:
        down += b"".join([b"%b: %b\r\n" % pair for pair in x.down])
    x.head_sent = True
    return b"%b%b%bcontent-length: %d\r\n%b%b" % (
        STATUS_LINE.get(status) or status_line(status),
        lines,
        down,
        length,
        _connection(x) if x.close or x.old else b"\r\n",
        body,
    )


def _back_up(x: Exchange) -> None:
    """The policies' way back; what one of them breaks must not cost the caller its reply."""
    try:
        for step in x.pipe.up[x.finished]:
            step(x)
    except Exception as error:  # house: except the reply goes out without what this one adds
        x.link.worker.crashed(error)


def refusal(x: Exchange, problem: Problem) -> bytes:
    """The whole reply of a problem document."""
    x.problem = problem
    shown = document(problem, x.request_id.decode())
    x.status = shown.status
    _back_up(x)
    body = _ENCODE(shown)
    out = [
        status_line(shown.status),
        b"content-type: application/problem+json\r\ncache-control: no-store\r\n",
        b"content-length: %d\r\n" % len(body),
    ]
    if shown.retry_after_s is not None:
        out.append(b"retry-after: %d\r\n" % shown.retry_after_s)
    out.append(x.down_lines)
    for name, value in x.down:
        out += (name, b": ", value, b"\r\n")
    out.append(_connection(x))
    if x.method != b"HEAD":
        out.append(body)
        x.sent_bytes = len(body)
    x.head_sent = True
    return b"".join(out)


def whole(x: Exchange, status: int, headers: Iterable[Pair], body: bytes) -> bytes:
    """A reply that is all here: a policy's answer, or an upstream's after it was rewritten."""
    x.status = status
    _back_up(x)
    out = [status_line(status)]
    for name, value in headers:
        if name not in REPLY_DROPS and name != b"content-length":
            out += (name, b": ", value, b"\r\n")
    out.append(x.down_lines)
    for name, value in x.down:
        out += (name, b": ", value, b"\r\n")
    # A rewritten reply to HEAD has no body to measure: better no length than a wrong one.
    if status not in (204, 304) and (body or x.method != b"HEAD"):
        out.append(b"content-length: %d\r\n" % len(body))
    out.append(_connection(x))
    if status not in (204, 304) and x.method != b"HEAD":
        out.append(body)
        x.sent_bytes = len(body)
    x.head_sent = True
    return b"".join(out)


def _connection(x: Exchange) -> bytes:
    if x.close:
        return b"connection: close\r\n\r\n"
    return b"connection: keep-alive\r\n\r\n" if x.old else b"\r\n"
