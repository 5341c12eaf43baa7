"""Comparisons with the official answers about nuPlan and NAVSIM files, one module per kind of answers file."""
