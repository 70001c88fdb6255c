"""A socket: one file a policy, found by discovery. Policies never import each other."""
