"""What Firmwire asks of any vendor system, in canonical words."""
