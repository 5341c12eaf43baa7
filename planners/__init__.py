"""Planners, and how to load them by name."""
