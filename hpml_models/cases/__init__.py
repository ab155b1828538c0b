"""Which cases there are, and which of them can run here."""
