"""Tryton as an ERP, a PSA and an HCM at once. Facts, limits and conventions: README.md."""
