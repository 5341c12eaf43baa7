"""NAVSIM agents as planners: what their modules import, their inputs and their trajectories."""
