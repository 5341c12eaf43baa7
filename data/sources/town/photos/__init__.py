"""Photographs of a town, drawn as a camera would see it: stand-ins for real ones."""

from swerve.data.sources.town.photos.look import WEATHERS, Look, draw_look
from swerve.data.sources.town.photos.photo_renderer import Photograph, PhotoStudio

__all__ = ["WEATHERS", "Look", "PhotoStudio", "Photograph", "draw_look"]
