"""The views: tables folded from the log, all disposable, and the engine that keeps them."""
