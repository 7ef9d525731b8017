"""New episodes for the next cycle."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
