"""One run of the gate: its settings and session, what it compares, confirms and misses."""
