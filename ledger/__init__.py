"""The log and its doors: what comes in, how it is kept, and who may read it."""
