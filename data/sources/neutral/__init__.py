"""Neutral log JSON: one file per log of any data set."""
