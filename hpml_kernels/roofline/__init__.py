"""What the machine can do at best, and kernels beside it: probes, comparison, table, picture."""
