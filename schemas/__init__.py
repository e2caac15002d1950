"""The words of the ledger: what a touchpoint is called and which fields it has."""
