"""The control plane's schema, step by step."""
