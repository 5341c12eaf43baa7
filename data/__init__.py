"""Logs in, datasets out."""
