"""A socket: one folder a journey, found by discovery. Journeys never import each other."""
