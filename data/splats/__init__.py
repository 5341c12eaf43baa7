"""From logs to fitted scenes of Gaussians."""
