"""A socket: one file a view, found by discovery. Views never import each other."""
