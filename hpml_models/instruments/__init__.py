"""What is read beside the time: clocks, memory, utilisation, traffic."""
