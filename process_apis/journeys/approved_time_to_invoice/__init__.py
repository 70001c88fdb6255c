"""From approved time to a posted invoice, exactly once (domain.md C)."""
