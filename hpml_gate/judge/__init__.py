"""Statistics, the sequential test, verdicts: pure functions on numbers."""
