"""Ratios against LeRobot's own path and LeAgents, each measured side by side in one run."""
