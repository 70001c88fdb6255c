"""What partners, views and the command line ask of the process tier."""
