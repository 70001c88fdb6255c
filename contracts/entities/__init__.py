"""Canonical records, named as the professional-services field names them (docs/contracts.md)."""
