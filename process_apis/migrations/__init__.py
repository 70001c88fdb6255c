"""Alembic's history of the process tier's tables."""
