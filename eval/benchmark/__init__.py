"""Pseudo-simulation: two-stage benchmarks, built from logs and evaluated on planners."""
