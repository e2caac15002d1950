"""The meaning of touchpoints: pure functions, without I/O and without a clock."""
