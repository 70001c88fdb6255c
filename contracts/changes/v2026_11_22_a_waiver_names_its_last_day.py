"""A waiver names the last day on which it holds.

Before  {"reason": "the client agreed by letter", "expires": "2026-12-31"}
After   {"reason": "the client agreed by letter", "last_day": "2026-12-31"}
Why     What expires on a day may mean that the day is still in or no longer; people were a day
        short. The day was also any text to the schema; it is a date now.
"""

from contracts.change import Change, Touch, renamed

CHANGE = Change(
    date="2026-11-22",
    tells="A waiver's `expires` is `last_day`, a date; that day is still in.",
    touches=(
        Touch(
            operation="POST /process/v1/exceptions/{id}/waive",
            request=renamed("expires", "last_day"),
            pointers={"/last_day": "/expires"},
        ),
    ),
)
