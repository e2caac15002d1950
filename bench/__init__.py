"""Benchmarks: what Touchstone does in a second, side by side with what there is to beat."""
