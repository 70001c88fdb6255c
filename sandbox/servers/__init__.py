"""Real servers for demos and tests, from wheels: PostgreSQL, Valkey, and an ERP nobody here wrote.

Each is a context manager: up when the block starts, down when it ends, on a free loopback port.
"""
