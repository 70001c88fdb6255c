"""This file exists to make the secrets of the gateway's own doors on first start: no defaults.

Owns   `gateway/data-plane.token` (0600): what a data plane shows to be given a snapshot.
Fails  OSError when the home folder cannot be written.
"""

import secrets
from pathlib import Path

from gateway.keys import write_private


def mint() -> str:
    """256 random bits, easy to find by a secret scanner."""
    return f"fwadm_{secrets.token_urlsafe(32)}"


def data_plane(home: Path) -> str:
    """The shared token, made by whichever plane starts first."""
    file = home / "gateway" / "data-plane.token"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, f"fwdp_{secrets.token_urlsafe(32)}".encode(), replace=False)
    return file.read_text().strip()
