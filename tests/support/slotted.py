"""Class whose attributes are slots, as nuPlan's states are."""


class Slotted:
    """Point."""

    __slots__ = ("x", "y")
