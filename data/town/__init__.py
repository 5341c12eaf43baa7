"""A procedural town."""
