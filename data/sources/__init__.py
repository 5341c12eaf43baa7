"""Readers of driving logs, one package per data set, and what they share."""
