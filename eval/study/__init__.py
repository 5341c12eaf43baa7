"""Correlation of open-loop measures with closed-loop scores."""
