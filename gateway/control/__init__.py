"""The control plane: the admin API, its store and audit, and the snapshots data planes live by."""
