"""Closed-loop simulation: a planner drives until the log ends."""
