"""Primitives and cameras in, images out."""
