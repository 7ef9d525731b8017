"""What the candidate does in simulation, beside the blessed checkpoint."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
