"""Billing runs, invoices, and posting them exactly once (domain.md C.3, C.4)."""
