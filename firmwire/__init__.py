"""The command line: composition only, no rule of the business lives here."""
