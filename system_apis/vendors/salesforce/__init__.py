"""Salesforce as a CRM. Facts, limits and sources: README.md."""
