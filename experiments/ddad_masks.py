"""Write masks of the recording car in DDAD's photos, for `swerve fit --masks`.

    python -m experiments.ddad_masks MASKS

The car's bonnet, roof and doors stand still in the photos, which no scene can explain. The outlines were drawn by hand
on the scene of docs/fit.md, in pixels of 1936x1216; cars of other scenes of DDAD have other mountings.
"""

import io
import sys
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from swerve.data.storage.files import make_folder, write_atomically

SIZE: Final = (1936, 1216)
OUTLINES: Final = {
    "CAMERA_05": [[(0, 1216), (300, 1180), (620, 1100), (980, 1030), (1200, 1045), (1420, 1110), (1600, 1130),
                   (1800, 1050), (1936, 1045), (1936, 1216)]],
    "CAMERA_06": [[(0, 1090), (150, 1110), (290, 1170), (500, 1110), (740, 1060), (900, 1050), (1100, 1085),
                   (1400, 1150), (1620, 1216), (0, 1216)]],
    "CAMERA_07": [[(0, 780), (330, 830), (800, 950), (1300, 1090), (1700, 1216), (0, 1216)],
                  [(0, 0), (470, 0), (330, 60), (160, 140), (0, 260)]],
    "CAMERA_08": [[(0, 1216), (0, 1190), (500, 1070), (1000, 950), (1500, 830), (1936, 750), (1936, 1216)],
                  [(1230, 0), (1500, 60), (1700, 150), (1936, 320), (1936, 0)]],
    "CAMERA_09": [[(0, 1216), (0, 1110), (180, 1030), (420, 985), (760, 955), (1060, 950), (1320, 975), (1500, 1020),
                   (1650, 1120), (1936, 1170), (1936, 1216)],
                  [(500, 0), (1100, 12), (1500, 25), (1936, 60), (1936, 0)]],
}  # fmt: skip


def main() -> None:
    """Write a mask per camera; white pixels are ignored."""
    folder = Path(sys.argv[1])
    make_folder(folder)
    for camera, outlines in OUTLINES.items():
        mask = Image.new("L", SIZE, 0)
        for outline in outlines:
            ImageDraw.Draw(mask).polygon(outline, fill=255)
        buffer = io.BytesIO()
        mask.save(buffer, "png")
        write_atomically(folder / f"{camera}.png", buffer.getvalue())


if __name__ == "__main__":
    main()
