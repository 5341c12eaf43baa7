"""Visualization: HTML pages, SVG charts, bird's-eye views, overlays, contact sheets."""
