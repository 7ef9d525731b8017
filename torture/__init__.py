"""The real loop, killed at every point that can be named, and run again."""
