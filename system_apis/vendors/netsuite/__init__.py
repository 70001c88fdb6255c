"""NetSuite as an ERP. Facts, limits and sources: README.md."""
