"""The table of strategies and its pictures."""
