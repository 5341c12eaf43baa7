"""Scoring contexts: everything about a scene that does not depend on the trajectories to be scored."""
