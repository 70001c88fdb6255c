"""Every vendor's simulator, running on one port of this machine, with faults on demand."""
