"""What the loop may do whatever its parameters say, and the commands that are judged by it."""
