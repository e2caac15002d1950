"""The production store: PostgreSQL."""
