"""Backup and restore: a ledger in a file, from which it can be made again on either store."""
