"""This file exists to judge the head of a request, and to say which headers travel on.

Owns   the fate of every header name in both directions; the rules on targets and hosts. llhttp
       has already refused broken framing; here is refused what only some parsers agree on.
Fails  never; it answers why a request is malformed.
Source RFC 9110 section 7.6.1 (hop-by-hop), RFC 9112 sections 3, 6 and 11 (targets, framing,
       smuggling).
"""

import re
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from gateway.policy import Exchange, Pair

HEADERS_MAX = 100
HEAD_BYTES = 32_768
TARGET_BYTES = 8_192

_DROP, _KNOWN, _PASS, _BOTH = range(4)

_FATE: dict[bytes, int] = {
    **dict.fromkeys(
        (
            b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"trailer",
            b"http2-settings", b"forwarded", b"via", b"x-real-ip", b"x-original-url",
            b"x-rewrite-url", b"x-consumer", b"x-client-ip", b"true-client-ip", b"x-tenant",
            b"client-cert", b"client-cert-chain", b"x-client-cert", b"ssl-client-cert",
        ),
        _DROP,
    ),
    **dict.fromkeys(
        (
            b"connection", b"host", b"content-length", b"transfer-encoding", b"expect",
            b"authorization", b"x-api-key", b"dpop", b"traceparent", b"firmwire-request-id",
            b"firmwire-deadline-ms", b"upgrade",
        ),
        _KNOWN,
    ),
    b"firmwire-correlation-id": _PASS,
    b"firmwire-version": _KNOWN,
    b"idempotency-key": _BOTH,
    b"origin": _BOTH,
    b"sec-websocket-key": _BOTH,
    b"sec-websocket-version": _BOTH,
}  # fmt: skip
# Ours to set, whatever the caller sends: every other firmwire-*, x-forwarded-*, x-consumer-*.
_OURS = (b"firmwire-", b"x-forward", b"x-consume", b"x-ssl-cli")

REPLY_DROPS = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"firmwire-identity",
        b"firmwire-request-id",
    )
)  # fmt: skip

_KEY_TOLD = re.compile(rb"fw_(?:live|test)_[0-9A-Za-z]{22}").search
_PATH_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,=:@/%-"
# Everything visible but # \ " < >
_QUERY_BYTES = bytes(byte for byte in range(0x21, 0x7F) if byte not in b'#\\"<>')
# An escape that is none, or that another reader might take for / . \\ ; % or a control character.
_ESCAPE_BAD = re.compile(
    rb"%(?:2[EeFf5]|3[Bb]|5[Cc]|[01][0-9A-Fa-f]|7[Ff]|(?![0-9A-Fa-f]{2}))"
).search
_ESCAPES = re.compile(rb"%([0-9A-Fa-f]{2})").sub
_UNRESERVED = frozenset(bytes((b,)) for b in range(128) if chr(b).isalnum() or chr(b) in "-_~")
_DOTS = re.compile(rb"/\.{1,2}(?:/|\Z)").search
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?").fullmatch

STATUS_LINE: dict[int, bytes] = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def status_line(status: int) -> bytes:
    """With the reason phrase where there is one."""
    return STATUS_LINE.get(status) or b"HTTP/1.1 %d \r\n" % status


def malformed(x: Exchange, headers: list[Pair], version: str) -> str:
    """Sort the headers of a request into the exchange; why it is refused, or nothing."""
    if len(headers) > HEADERS_MAX:
        return "There are too many headers."
    known = x.known
    forward: list[bytes] = []
    size_bytes = 0
    for name, value in headers:
        size_bytes += len(name) + len(value)
        fate = _FATE.get(name)
        if fate is None:
            if name[:9] not in _OURS and b"_" not in name:
                forward += (name, b": ", value, b"\r\n")
        elif fate is _PASS:
            forward += (name, b": ", value, b"\r\n")
        elif fate:
            if name in known:
                return f"The header {name.decode()} is given twice."
            known[name] = value
            if fate is _BOTH:
                forward += (name, b": ", value, b"\r\n")
    nominated = known.get(b"connection")
    if nominated is not None:
        forward = _without_nominated(forward, nominated.lower())
    x.forward = b"".join(forward)
    if size_bytes > HEAD_BYTES:
        return "The headers are too long."
    if version == "1.0":
        x.old = True
    elif version != "1.1":
        return "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    return _bad_framing(x) or bad_target(x)


def _bad_framing(x: Exchange) -> str:
    known = x.known
    if (length := known.get(b"content-length")) is not None:
        x.length_bytes = int(length)
    if (coding := known.get(b"transfer-encoding")) is not None:
        if coding.lower() != b"chunked" or x.old or length is not None:
            return "The only transfer coding is chunked, in HTTP/1.1, without a length."
        x.chunked = True
        x.length_bytes = -1
    if (expected := known.get(b"expect")) is not None:
        if expected.lower() != b"100-continue":
            return "The only expectation met is 100-continue."
        x.expects = not x.old and x.length_bytes != 0
    host = known.get(b"host")
    if host is None:
        return "" if x.old else "The host header is missing."
    return "" if _HOST(host) else "The host header is not a host."


def _without_nominated(forward: list[bytes], nominated: bytes) -> list[bytes]:
    """A caller may say which of its own headers end here; what we add later is not touched."""
    if nominated in (b"keep-alive", b"close", b"upgrade", b""):
        return forward
    names = {name.strip() for name in nominated.split(b",")}
    kept: list[bytes] = []
    for at in range(0, len(forward), 4):
        if forward[at] not in names:
            kept += forward[at : at + 4]
    return kept


def bad_target(x: Exchange) -> str:
    """Why the target is refused, or nothing; then target and path are as they will be read."""
    x.target, x.path, why = plain_target(x.target)
    return why


def plain_target(target: bytes) -> tuple[bytes, bytes, str]:
    """The target in its one spelling, its path, and why it is refused, or nothing."""
    if len(target) > TARGET_BYTES:
        return target, b"", "The address is too long."
    path, _, query = target.partition(b"?")
    if (
        path[:1] != b"/"
        or path.translate(None, _PATH_BYTES)
        or b"//" in path
        or (b"%" in path and (_ESCAPE_BAD(path) or not _is_utf8(unquote_to_bytes(path))))
        or (b"/." in path and _DOTS(path))
    ):
        return target, b"", "The path is not in its plain form."
    if b"%" in path:
        # One spelling for routes, policies and the tier: %61 is an a, %c3 is %C3.
        target = _ESCAPES(_one_spelling, path) + target[len(path) :]
        path = target.partition(b"?")[0]
    if query and query.translate(None, _QUERY_BYTES):
        return target, b"", "The query is not in its plain form."
    if b"fw_" in query and _KEY_TOLD(query):
        return target, b"", "An address is no place for a key: it is logged on its way."
    return target, path, ""


def _one_spelling(escape: re.Match[bytes]) -> bytes:
    byte = bytes((int(escape[1], 16),))
    return byte if byte in _UNRESERVED else escape[0].upper()


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
