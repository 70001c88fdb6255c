"""A seeded professional-services firm, generated in canonical words and loaded into the vendors."""
