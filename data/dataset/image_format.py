"""Formats of RGB images."""

from typing import Literal

ImageFormat = Literal["jpeg", "png"]
