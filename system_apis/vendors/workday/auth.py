"""This file exists to sign in at Workday's report service: HTTP Basic as the integration's user.

Source  shared vendor facts: reports take an integration system user as `user@tenant`.
"""

from base64 import b64encode


def basic(user: str, tenant: str, password: str) -> str:
    """The Authorization header."""
    return "Basic " + b64encode(f"{user}@{tenant}:{password}".encode()).decode()
