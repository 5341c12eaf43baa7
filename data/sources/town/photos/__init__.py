"""Photographs of a town, drawn as a camera would see it: stand-ins for real ones."""

from swerve.data.sources.town.photos.look import WEATHERS, TownAppearance, draw_look
from swerve.data.sources.town.photos.photo_renderer import Photograph, TownPhotoRenderer

__all__ = ["WEATHERS", "Photograph", "TownAppearance", "TownPhotoRenderer", "draw_look"]
