"""Follow-up viewpoints: starts of the second stage, around where the expert is after 4 s."""
