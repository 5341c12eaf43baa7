"""Classes of 123D's boxes: the numbers of each label class of py123d 0.7, in their order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from swerve.data.sources.av2.av2_tables import CLASS_OF_CATEGORY
from swerve.scenes import LogError, ObjectClass

_G, _V, _P, _B = ObjectClass.GENERIC, ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE
_C, _R, _S = ObjectClass.TRAFFIC_CONE, ObjectClass.BARRIER, ObjectClass.SIGN
# Label class with which Swerve writes boxes; the recording vehicle, 0 in it, is no track.
DEFAULT_LABEL: Final = "DefaultBoxDetectionLabel"
DEFAULT_MODULE: Final = "py123d.datatypes.detections.box_detection_label"
EGO: Final = 0
# ego, vehicle, train, two-wheeler, person, animal, sign, cone, light, barrier, generic object, other
_DEFAULT: Final = (_V, _V, _V, _B, _P, _G, _S, _C, _G, _R, _G, _G)
_LABELS: Final[Mapping[str, tuple[ObjectClass, ...]]] = {
    DEFAULT_LABEL: _DEFAULT,
    # The data set's categories in alphabetical order; unknown is not among them.
    "AV2SensorBoxDetectionLabel": tuple(
        CLASS_OF_CATEGORY[name] for name in sorted(CLASS_OF_CATEGORY) if name != "UNKNOWN"
    ),
    # bicycle, box, bus, car, caravan, lamp, motorcycle, person, pole, rider, small pole, stop, light, sign, trailer,
    # train, bin, truck, vending machine
    "KITTI360BoxDetectionLabel": (_B, _G, _V, _V, _V, _G, _B, _P, _G, _B, _G, _S, _G, _S, _V, _V, _G, _V, _G),
    "NuPlanBoxDetectionLabel": (_V, _B, _P, _C, _R, _S, _G),
    # 0 to 9 vehicles, of which bicycle and motorcycle; 10 to 16 people; cone, barrier, pushable, debris, rack, animal
    "NuScenesBoxDetectionLabel": (*(_V,) * 8, _B, _B, *(_P,) * 7, _C, _R, _G, _G, _G, _G),
    # birds, other animals, bicycle, bus, car, cones, signs, emergency vehicle, truck, motorcycle, scooter, three other
    # vehicles, two pedestrians, mobility device, pickup, pylons, barriers, containers, semi-truck, signs, barriers,
    # towed object, train, tram
    "PandasetBoxDetectionLabel": (
        *(_G, _G, _B, _V, _V, _C, _S, _V, _V, _B, _B, _V, _V, _V, _P, _P, _B, _V, _C, _R, _G, _V, _S, _R, _V, _V, _V),
    ),
    "WODPerceptionBoxDetectionLabel": (_G, _V, _P, _S, _B),
    "WODMotionBoxDetectionLabel": (_G, _V, _P, _B, _G),
    # car, person, bus, truck, other vehicle, object, rider, stroller, trailer, animal, train, trolley bus
    "PhysicalAIAVBoxDetectionLabel": (_V, _P, _V, _V, _V, _G, _B, _P, _V, _G, _V, _V),
    "GriffinBoxDetectionLabel": (_P, _V, _V, _V, _B, _B),
    # car, bicycle, human, cone, sign, other, door, truck, bus, motorcycle, bicycle, pedestrian, cone
    "NureasoningBoxDetectionLabel": (_V, _B, _P, _C, _S, _G, _G, _V, _V, _B, _B, _P, _C),
}
# Labels of `DEFAULT_LABEL` of the classes of tracks.
LABEL_OF_CLASS: Final[Mapping[ObjectClass, int]] = {_G: 10, _V: 1, _P: 4, _B: 3, _C: 7, _R: 9, _S: 6}


def classes_of(label_class: object, path: Path) -> tuple[ObjectClass, ...]:
    """Return the classes of the numbers of a label class, given with its module.

    Raises:
        LogError: it is unknown.
    """
    name = str(label_class).rpartition(".")[2]
    if name not in _LABELS:
        raise LogError(path, "box_detection_label_class", f"{name} is unknown", f"Known are {', '.join(_LABELS)}")
    return _LABELS[name]
