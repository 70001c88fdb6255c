"""Who may call what, which version and how much; and the data plane that enforces it."""
