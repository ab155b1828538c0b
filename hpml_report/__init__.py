"""Tables and figures from records alone: the same code in a run and afterwards.

Nothing here imports torch or pytest, and of the gate only the record and its words.
"""
