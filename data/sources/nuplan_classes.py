"""Classes of objects by nuPlan's names, which NAVSIM, OpenScene and neutral logs have too."""

from typing import Final

from swerve.scenes import ObjectClass

# In the order of nuPlan's numbers (`TrackedObjectType`), the first seven.
CLASSES: Final = {
    "vehicle": ObjectClass.VEHICLE,
    "pedestrian": ObjectClass.PEDESTRIAN,
    "bicycle": ObjectClass.BICYCLE,
    "traffic_cone": ObjectClass.TRAFFIC_CONE,
    "barrier": ObjectClass.BARRIER,
    "czone_sign": ObjectClass.SIGN,
    "generic_object": ObjectClass.GENERIC,
}
NAMES: Final = {kind: name for name, kind in CLASSES.items()}
