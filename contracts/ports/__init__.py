"""What one tier may ask of another. A port is a Protocol; the chassis serves it and calls it."""
