"""Long-running studies: `python -m experiments.NAME`."""
