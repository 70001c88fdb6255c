"""This file exists to write access lines to a file without any exchange waiting for it.

Owns   one append-only file; a buffer written every half second, or every tenth when there is much.
Fails  a full disk loses lines, counts them, and stops nobody.
"""

import os
from collections.abc import Callable
from pathlib import Path

_FLUSH_LINES = 256


class LogFile:
    """Append only. `reopen` after the file was moved away (SIGHUP)."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[bytes] = []
        # A line is bytes with its newline. Nothing stands between a policy and the list.
        self.write: Callable[[bytes], None] = self._lines.append
        self.lost_lines = 0
        self._descriptor = self._open()

    def many(self) -> bool:
        """Is it time to flush before half a second is over?"""
        return len(self._lines) >= _FLUSH_LINES

    def flush(self) -> None:
        """One system call for all that waits."""
        if not self._lines:
            return
        lines = self._lines.copy()
        self._lines.clear()
        try:
            os.write(self._descriptor, b"".join(lines))
        except OSError:
            self.lost_lines += len(lines)

    def reopen(self) -> None:
        """Flush, and go on in a file of the same name."""
        self.flush()
        os.close(self._descriptor)
        self._descriptor = self._open()

    def close(self) -> None:
        """Twice is once."""
        self.flush()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
