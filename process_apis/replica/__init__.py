"""The master-data lane: poll the systems, keep a copy, set free what waited for it."""
