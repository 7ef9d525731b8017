"""Demonstrations of tasks that were added to the suite."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
