"""The journeys between systems, the billing ledger and the exception queue."""
