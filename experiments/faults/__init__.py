"""Faults: jobs that are killed at random, and the cost of executors."""
