"""The parts of the made-up year: its people, its seasons, and what its services report."""
