"""Detectors of users by name: `module:Class`, then `,key=text...`."""

from swerve.eval.splat_quality.detector import Detector
from swerve.planners.import_class import describe, import_class
from swerve.scenes import SwerveError


def load_detector(spec: str) -> Detector:
    """Create the object that a spec names, and return what it can do.

    Args:
        spec: `module:Class`, of a module that can be imported from the current folder; `,key=text` are passed on to the
            class, as in `my_detector:Yolo,weights=yolo.pt`.

    Raises:
        SwerveError: the spec has another form, the class cannot be imported or created, or has none of the methods.
    """
    head, *items = (part.strip() for part in spec.split(","))
    module, colon, name = head.partition(":")
    options = [item.partition("=") for item in items]
    if not (module and colon and name) or not all(key and equals for key, equals, _ in options):
        raise SwerveError(f"detector {spec}: must be module:Class, or module:Class,key=text")
    factory = import_class(spec, module, name, kind="detector")
    try:
        made = factory(**{key: text for key, _, text in options})
    except Exception as error:
        raise SwerveError(f"detector {spec}: it cannot be created ({describe(error)})") from error
    return Detector.of(spec, made)
