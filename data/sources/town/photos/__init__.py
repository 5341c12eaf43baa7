"""Synthetic photos of a town, rendered with textures, lighting and a camera model."""

from swerve.data.sources.town.photos.look import WEATHERS, TownAppearance, draw_look
from swerve.data.sources.town.photos.photo_renderer import SyntheticImage, TownPhotoRenderer

__all__ = ["WEATHERS", "SyntheticImage", "TownAppearance", "TownPhotoRenderer", "draw_look"]
