"""What was refused of a batch is told by a JSON pointer, as in problem documents.

Before  {"index": 3, "field": "data.minutes", "reason": ...}
After   {"index": 3, "pointer": "/3/data/minutes", "reason": ...}
Why     Callers had two ways to read where they were wrong: `field` with dots, from the item, and
        `pointer` (RFC 6901), from the body. Now one function finds either.
"""

import re

from contracts.change import Body, Change, Reshape, Touch, each, member, renamed

_renamed = renamed("field", "pointer")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def _pointer(index: int, field: str) -> str:
    steps = (name or at for name, at in _STEP.findall(field))
    escaped = (step.replace("~", "~0").replace("/", "~1") for step in (str(index), *steps))
    return "".join(f"/{step}" for step in escaped)


def _field(pointer: str) -> str:
    steps = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[2:])
    return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps).lstrip(".")


def _up(refused: Body) -> Body:
    said = _pointer(refused["index"], refused["field"])
    return _renamed.up(refused) | {"pointer": said}


def _down(refused: Body) -> Body:
    return _renamed.down(refused) | {"field": _field(refused["pointer"])}


CHANGE = Change(
    date="2026-11-08",
    tells="Items refused of a batch of time entries carry `pointer` instead of `field`.",
    touches=(
        Touch(
            operation="POST /process/v1/time-entries",
            reply=member("refused", each(Reshape(_up, _down))),
        ),
    ),
)
