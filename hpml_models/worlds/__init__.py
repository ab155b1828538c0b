"""Ranks: started here, or placed by a launcher."""
