"""The system tier: one connector a vendor, behind canonical ports."""
