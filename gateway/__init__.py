"""Who may call what, and how much: the data plane that enforces it, the control plane behind it."""
