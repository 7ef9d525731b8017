"""Whether data, checkpoints, and the loop's past are what they say: all findings at once, each with its fix."""
