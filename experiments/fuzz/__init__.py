"""Mutation fuzzing of every reader of files: `python -m experiments.fuzz --help`."""
