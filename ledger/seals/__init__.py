"""Seals: a Merkle tree over the log, its signed heads, and proofs that need no ledger."""
