"""A case becomes a prepared step: the only door for tests and benchmarks."""
