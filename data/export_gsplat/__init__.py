"""Scenes as the NPZ files that gsplat's trainer for driving scenes reads."""
