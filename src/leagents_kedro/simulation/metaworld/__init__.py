"""MetaWorld's tasks: as LeRobot has them, and observed as state, with nothing rendered."""
