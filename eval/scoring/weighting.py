"""Names of the ways to weigh follow-up scenes."""

from typing import Literal

Weighting = Literal["navsim-exact", "stable"]
