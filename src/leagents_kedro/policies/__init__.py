"""Training and acting with LeRobot policies of any type."""
