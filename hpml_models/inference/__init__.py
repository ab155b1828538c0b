"""The predictor of an inference case, and how accurate it is."""
