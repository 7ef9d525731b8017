"""Environments as LeRobot plug-ins, scripted experts, and the rollout engine."""
