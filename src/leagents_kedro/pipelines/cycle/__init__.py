"""One cycle: the sum of its stages."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
