"""LeRobot's LIBERO."""
