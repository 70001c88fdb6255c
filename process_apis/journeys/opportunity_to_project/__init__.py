"""From a won deal to a project that can be worked on and billed (domain.md D.1)."""
