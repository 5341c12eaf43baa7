"""Baseline planners: kinematic, privileged, and the ego-status MLP."""
