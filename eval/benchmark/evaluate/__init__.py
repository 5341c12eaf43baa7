"""Evaluation of planners on a benchmark."""
