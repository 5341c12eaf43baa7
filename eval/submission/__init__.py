"""Submission files of NAVSIM's leaderboards: written, and checked before the upload."""
