"""Submission files of NAVSIM's leaderboards and Waymo's end-to-end challenge: written, checked before the upload."""
