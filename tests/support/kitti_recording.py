"""Writer of small KITTI tracking sequences and raw drives."""

import numpy as np
from PIL import Image

# Near Karlsruhe; the car drives at an angle to the east, on level ground.
LATITUDE, LONGITUDE, ALTITUDE, YAW, SPEED = 49.0, 8.4, 114.0, 0.4, 10.0
RADIUS = 6_378_137.0
SIZE = (124, 38)
FOCAL, CX, CY = 70.0, 61.0, 17.0
# Axes of cameras: x right, y down, z ahead. The scanner looks ahead, its y axis to the left.
RECT_FROM_VELO = np.array([[0, -1, 0, 0.0], [0, 0, -1, -0.08], [1, 0, 0, -0.27]], np.float64)
VELO_FROM_IMU = np.array([[1, 0, 0, -0.81], [0, 1, 0, 0.32], [0, 0, 1, -0.80]], np.float64)
BASELINE = 0.5
FRAMES = 8


def oxts_record(frame, yaw_rate=0.0):
    """Return the 30 numbers of a frame, 0.1 s apart, of a car that drives straight on."""
    along = SPEED * 0.1 * frame
    east, north = along * np.cos(YAW), along * np.sin(YAW)
    scaled = RADIUS * np.cos(np.deg2rad(LATITUDE))
    # To the first order, which over some metres is exact to micrometres.
    latitude = LATITUDE + np.rad2deg(north / RADIUS)
    longitude = LONGITUDE + np.rad2deg(east / scaled)
    record = np.zeros(30)
    record[:6] = latitude, longitude, ALTITUDE, 0.0, 0.0, YAW
    record[[8, 9, 14, 15, 22]] = SPEED, 0.2, 0.5, -0.1, yaw_rate
    return record


def numbers(values):
    """Return numbers as text that loses nothing."""
    return " ".join(repr(float(value)) for value in np.ravel(values))


def projection(camera):
    """Return P of a camera: the left colour camera 0.06 m to the left of the rectified frame, the right one beyond."""
    shift = FOCAL * (0.06 if camera == 2 else 0.06 - BASELINE)
    return np.array([[FOCAL, 0, CX, shift], [0, FOCAL, CY, 0], [0, 0, 1, 0]])


LABELS = [
    # frame, track, kind, height, width, length, x, y, z of the bottom, rotation about y: a car ahead that turns right
    *((frame, 3, "Car", 1.5, 1.8, 4.2, 2.0, 1.6, 15.0, -np.pi / 2 + 0.1 * frame) for frame in range(5)),
    *((frame, 7, "Pedestrian", 1.8, 0.6, 0.8, -3.0, 1.7, 9.0, 0.0) for frame in range(2, 8)),
]


def label_lines():
    """Return the lines of the labels, and one of a region to be ignored."""
    lines = ["0 -1 DontCare -1 -1 -10 1 2 3 4 -1000 -1000 -1000 -10 -1 -1 -1"]
    for frame, track, kind, *rest in LABELS:
        lines.append(f"{frame} {track} {kind} 0 1 0.5 10 5 30 20 {numbers(rest)}")
    return lines


def write_images(folder, frames, names=lambda frame: f"{frame:06d}.png"):
    folder.mkdir(parents=True)
    for frame in frames:
        Image.new("RGB", SIZE, (10 * frame, 90, 60)).save(folder / names(frame))


def scan_points():
    """Return points of a scan: ahead, to the left, behind, to the right, and one on the roof."""
    places = [(20, 0, -1), (0, 20, -1), (-20, 0.001, -1), (0, -20, -1), (0.2, 0.0, -0.2)]
    return np.array([(*place, 0.5) for place in places], "<f4")


def write_tracking(root, name="0001"):
    """Write a sequence with three left images, one right one and one scan, and return the root."""
    for folder in ("calib", "oxts", "label_02"):
        (root / folder).mkdir(parents=True)
    (root / "oxts" / f"{name}.txt").write_text("\n".join(numbers(oxts_record(frame)) for frame in range(FRAMES)))
    (root / "label_02" / f"{name}.txt").write_text("\n".join(label_lines()) + "\n")
    calib = [f"P{camera}: {numbers(projection(camera))}  " for camera in range(4)]
    calib += [f"R_rect {numbers(np.eye(3))}", f"Tr_velo_cam {numbers(RECT_FROM_VELO)}"]
    calib.append(f"Tr_imu_velo {numbers(VELO_FROM_IMU)}")
    (root / "calib" / f"{name}.txt").write_text("\n".join(calib) + "\n")
    write_images(root / "image_02" / name, (0, 1, 4))
    write_images(root / "image_03" / name, (1,))
    (root / "velodyne" / name).mkdir(parents=True)
    scan_points().tofile(root / "velodyne" / name / "000001.bin")
    return root


def stamps(offset):
    """Return the lines of a timestamps file whose first time is so many microseconds after the second."""
    return "\n".join(f"2011-09-26 13:02:25.{offset + 100_000 * frame:06d}123" for frame in range(FRAMES))


def write_raw(root, drive="2011_09_26_drive_0001_sync", with_tracklets=True):
    """Write a drive and the calibration of its day, and return the root."""
    day = root / drive[:10]
    folder = day / drive
    for name, offset in (("oxts", 1_000), ("image_02", 5_000), ("image_03", 5_500), ("velodyne_points", 3_000)):
        (folder / name).mkdir(parents=True)
        (folder / name / "timestamps.txt").write_text(stamps(offset) + "\n")
    (folder / "oxts" / "data").mkdir()
    for frame in range(FRAMES):
        (folder / "oxts" / "data" / f"{frame:010d}.txt").write_text(numbers(oxts_record(frame)) + "\n")
    for name in ("image_02", "image_03"):
        write_images(folder / name / "data", range(FRAMES), lambda frame: f"{frame:010d}.png")
    (folder / "velodyne_points" / "data").mkdir()
    scan_points().tofile(folder / "velodyne_points" / "data" / "0000000002.bin")
    if with_tracklets:
        (folder / "tracklet_labels.xml").write_text(tracklets())
    write_calibrations(day)
    return root


def write_calibrations(day):
    """Write the calibration files of a day."""
    cams = ["calib_time: 09-Jan-2012 13:57:47", f"R_rect_00: {numbers(np.eye(3))}"]
    cams += [f"P_rect_{camera:02d}: {numbers(projection(camera))}" for camera in range(4)]
    (day / "calib_cam_to_cam.txt").write_text("\n".join(cams) + "\n")
    for name, matrix in (("velo_to_cam", RECT_FROM_VELO), ("imu_to_velo", VELO_FROM_IMU)):
        lines = ["calib_time: 15-Mar-2012 11:37:16", f"R: {numbers(matrix[:, :3])}", f"T: {numbers(matrix[:, 3])}"]
        (day / f"calib_{name}.txt").write_text("\n".join(lines) + "\n")


def tracklets():
    """Return a document of one van, from frame 2 to frame 4, that stands 10 m ahead of the scanner and turns."""
    poses = "".join(
        f"<item><tx>{10.0}</tx><ty>{-2.0}</ty><tz>{-1.7}</tz><rx>0</rx><ry>0</ry><rz>{0.1 * index}</rz></item>"
        for index in range(3)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>\n<!DOCTYPE boost_serialization>\n'
        '<boost_serialization signature="serialization::archive" version="9"><tracklets class_id="0">'
        "<count>1</count><item_version>1</item_version><item><objectType>Van</objectType><h>2.0</h><w>1.9</w><l>5.0</l>"
        f"<first_frame>2</first_frame><poses><count>3</count><item_version>2</item_version>{poses}</poses>"
        "<finished>1</finished></item></tracklets></boost_serialization>\n"
    )
