"""Names of traffic models."""

from typing import Literal

Policy = Literal["log-replay", "constant-velocity", "navsim-reactive", "lane-following"]
