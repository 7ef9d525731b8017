"""LeRobotDataset v3 as columns: batches for training, append by hard link, checks, statistics."""
