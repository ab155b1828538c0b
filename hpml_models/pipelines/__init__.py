"""Training in stages: torch's engine, DeepSpeed's engine, how a model is cut."""
