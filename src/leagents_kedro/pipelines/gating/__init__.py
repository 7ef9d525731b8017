"""Whether the candidate is better."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
