"""One folder a vendor; each is found by discovery and knows nothing of the others."""
