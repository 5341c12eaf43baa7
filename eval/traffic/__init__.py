"""Motion of other agents while a trajectory is scored: log replay and reactive policies."""
