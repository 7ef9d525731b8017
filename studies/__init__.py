"""What is simulated rather than measured: studies of what the loop's own functions promise."""
