"""NAVSIM's scores: simulation of trajectories, sub-scores, aggregation."""
