"""Waymo's end-to-end driving data set (WOD-E2E): E2EDFrames in TFRecord files."""
