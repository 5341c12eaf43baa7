"""Scores of the Waymo end-to-end driving challenge (WOD-E2E): rater feedback score and average displacement error."""
