"""One self-contained HTML file from the records of runs: ``hpml report``."""
