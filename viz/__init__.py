"""Pictures and pages for people: HTML, SVG charts, bird's-eye views, overlays, contact sheets."""
