"""What the cycle trains on, and from where."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
