"""Fitting of Gaussian splat scenes to logs."""
