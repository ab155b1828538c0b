"""The training step, its micro-batches, and what proves that it took effect."""
