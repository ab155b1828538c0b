"""How good a trained model is, how soon, and at what cost: by the tasks' own definitions.

Pure functions over numbers and texts; what runs models is elsewhere.
"""
