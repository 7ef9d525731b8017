"""What replaces parts of torch, LeRobot, and MetaWorld for speed."""
