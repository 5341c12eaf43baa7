"""Studies that take hours: `python -m experiments.NAME`."""
