"""Webhooks: what vendors send of their own accord, checked, translated and taken in."""
