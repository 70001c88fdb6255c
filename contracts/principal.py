"""Who is calling, as the gateway proved it and every tier verifies it."""

from msgspec import Struct


class Principal(Struct, frozen=True):
    """subject: consumer or service name. scopes: what it may do. issuer: who vouches for it.

    actor: the person or key behind the subject, for the audit trail (empty when it is the same).
    """

    subject: str
    scopes: frozenset[str]
    issuer: str
    actor: str = ""

    def may(self, scope: str) -> bool:
        """True when the scope, or the whole tier (`process:*`), was granted."""
        return scope in self.scopes or f"{scope.split(':', 1)[0]}:*" in self.scopes
