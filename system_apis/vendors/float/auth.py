"""This file exists to say who calls Float: a team's token, and the contact Float insists on.

Source  vendor documentation: bearer token without expiry, User-Agent `Name (contact)` mandatory.
"""


def headers(token: str, contact: str) -> dict[str, str]:
    """contact: an e-mail address that is read."""
    return {"authorization": f"Bearer {token}", "user-agent": f"Firmwire ({contact})"}
