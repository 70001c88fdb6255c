"""This file exists to not judge the same header block twice on one connection.

Callers that keep a line open send the same headers with every request: the same client library,
the same key, the same host; only the request line differs. So when a whole bodyless request
arrives in one read between two messages, and its header block equals, byte for byte, the one that
was judged before on this line, the judgement before is the judgement now. The request line is
judged for itself, by a rule narrower than the parser's; what it does not take goes the long way.

Owns   what the block before was judged to be; what policies keep about it for one snapshot.
Fails  never: None sends the request the long way.
Source RFC 9112 sections 3 and 5: the header section does not depend on the request line.
"""

from typing import TYPE_CHECKING, Any

from gateway.dataplane.heads import plain_target
from gateway.policy import Exchange

if TYPE_CHECKING:
    from gateway.dataplane.compiled import Compiled, Judged
    from gateway.dataplane.downstream import Downstream

BLOCK_BYTES = 4_096  # a connection keeps no more than this
LINE_BYTES, LINES_MAX = 256, 2_048  # and a snapshot no more than so many request lines
_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
# With any of these, one request is not like the one before.
_SINGULAR = frozenset(
    (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"http2-settings")
)


class Memo:
    """block: from the end of the request line to the end of the head, both line ends included."""

    __slots__ = ("_client", "_compiled", "_forward", "_kept", "_known", "_size", "block")

    def __init__(self, block: bytes, x: Exchange, forward: bytes) -> None:
        self.block = block
        self._size = len(block)
        self._client = x.client
        self._known = x.known
        self._forward = forward
        self._compiled: Compiled | None = None
        self._kept: dict[str, Any] = {}

    def exchange(self, link: "Downstream", data: bytes, compiled: "Compiled") -> Exchange | None:
        """The request in `data`, which ends with the block; None when its line is not plain."""
        line = data[: -self._size]
        judged = compiled.lines.get(line) or _judge(line, compiled)
        if judged is None:
            return None
        if compiled is not self._compiled:
            self._compiled = compiled
            self._kept = {}
        x = Exchange(link, self._client, link.active_s, self._known, self._kept)
        x.method, x.target, x.path, x.use = judged
        x.forward = self._forward
        x.request_done = True
        return x


def _judge(line: bytes, compiled: "Compiled") -> "Judged | None":
    """A request line, and where it leads under this snapshot; kept, because lines come again."""
    parts = line.split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1" or parts[0] not in _METHODS:
        return None
    target, path, why = plain_target(parts[1])
    if why:
        return None
    methods = compiled.table.find(path)
    use = methods.get(parts[0]) if methods is not None else None
    judged = parts[0], target, path, use
    if len(line) <= LINE_BYTES:
        if len(compiled.lines) >= LINES_MAX:
            compiled.lines.clear()
        compiled.lines[line] = judged
    return judged


def may_repeat(x: Exchange, upgrade: bool) -> bool:
    """Is this a request whose header block may come again and mean the same?"""
    if x.malformed or x.close or x.old or upgrade or not _SINGULAR.isdisjoint(x.known):
        return False
    return x.known.get(b"connection", b"keep-alive").lower() == b"keep-alive"


def remember(x: Exchange, data: bytes, line: bytes, forward: bytes) -> Memo | None:
    """line: the request line. None unless `data` is this one head, whole, and nothing else."""
    at = len(line) - 2
    if data.find(b"\r\n\r\n") != len(data) - 4 or len(data) - at > BLOCK_BYTES:
        return None
    return Memo(data[at:], x, forward) if data.startswith(line) else None
