"""Tests, room by room; `tests.support` is what they share."""
