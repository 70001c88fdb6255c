"""Dated API changes: one file per breaking change, found by discovery."""
