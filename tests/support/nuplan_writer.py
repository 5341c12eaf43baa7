"""Writer of small nuPlan maps and log data bases, with the tables and columns of the real ones."""

import json
import pickle
import sqlite3
from pathlib import Path

import numpy as np
import shapely

LOCATION, VERSION, EPSG = "us-ma-boston", "9.12.1817", 32619
# A straight road eastwards from here, in UTM: lane 11 (and 12 to its right), connector 21, lane 13.
EAST, NORTH = 330_000.0, 4_690_000.0
START_US = 1_600_000_000_000_000
LOG = "2020.09.13.12.26.40_veh-00_00000_00012"


def write_maps(root: Path, layers: dict | None = None) -> Path:
    """Write `maps` with one location into a folder, and return it; `layers` replace rows of the map."""
    maps = root / "maps"
    file = maps / LOCATION / VERSION / "map.gpkg"
    file.parent.mkdir(parents=True)
    index = {LOCATION: {"version": VERSION, "layers": {}}}
    (maps / "nuplan-maps-v1.0.json").write_text(json.dumps(index))
    write_geopackage(file, {**map_layers(), **(layers or {})})
    return maps


def write_geopackage(file: Path, layers: dict, crs: str = f"epsg:{EPSG}") -> None:
    """Write layers, each a list of rows: dicts of `fid`, `geom` (shapely) and other columns; projected coordinates."""
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER)")
    connection.execute("CREATE TABLE meta (id INTEGER PRIMARY KEY, key TEXT, value TEXT)")
    connection.execute("INSERT INTO meta (key, value) VALUES ('projectedCoordSystem', ?)", (crs,))
    for name, rows in layers.items():
        columns = [column for column in (rows[0] if rows else {"fid": 0, "geom": 0}) if column not in ("fid", "geom")]
        extra = "".join(f", {column}" for column in columns)
        connection.execute(f"CREATE TABLE {name} (fid INTEGER PRIMARY KEY, geom BLOB{extra})")
        connection.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?)", (name, EPSG))
        for row in rows:
            blob = b"GP\0\1" + EPSG.to_bytes(4, "little") + shapely.to_wkb(row["geom"])
            values = [row["fid"], blob, *(row[column] for column in columns)]
            connection.execute(f"INSERT INTO {name} VALUES ({','.join('?' * len(values))})", values)
    connection.commit()
    connection.close()


def strip(start: float, end: float, right: float, left: float) -> shapely.Polygon:
    """Return a rectangle: metres eastwards from the road's start, and northwards from its middle."""
    return shapely.box(EAST + start, NORTH + right, EAST + end, NORTH + left)


def line(start: float, end: float, left: float) -> shapely.LineString:
    """Return a line along the road with a point each 10 m."""
    east = np.linspace(start, end, max(int(abs(end - start) / 10), 1) + 1)
    return shapely.LineString(np.stack([EAST + east, np.full(len(east), NORTH + left)], axis=1))


def map_layers() -> dict:
    """Return the rows of all layers."""
    lane = {"lane_group_fid": 31, "lane_type_fid": 0, "speed_limit_mps": 13.0}
    boundary_of = {11: (41, 42), 12: (42, 43), 13: (44, 45)}
    lanes = [
        {"fid": 11, "geom": strip(0, 80, 0, 4), **lane, "lane_index": 0},
        {"fid": 12, "geom": strip(0, 80, -4, 0), **lane, "lane_index": 1, "speed_limit_mps": None},
        {"fid": 13, "geom": strip(100, 200, 0, 4), **lane, "lane_group_fid": 32, "lane_index": 0},
    ]
    for row in lanes:
        row["lane_fid"] = row["fid"]
        row["left_boundary_fid"], row["right_boundary_fid"] = boundary_of[row["fid"]]
    empty = {"creator_id": "test"}
    return {
        "lanes_polygons": lanes,
        "lane_connectors": [
            {
                "fid": 21,
                "geom": line(80, 100, 2),
                "exit_lane_fid": 11,
                "entry_lane_fid": 13,
                "lane_group_connector_fid": 33,
                "speed_limit_mps": 8.0,
                "traffic_light_stop_line_fids": "51",
            },
        ],
        "gen_lane_connectors_scaled_width_polygons": [
            {
                "fid": 71,
                "geom": strip(80, 100, 0, 4),
                "lane_connector_fid": 21,
                "left_boundary_fid": 46,
                "right_boundary_fid": 47,
            },
        ],
        "lane_groups_polygons": [
            {"fid": 31, "geom": strip(0, 80, -4, 4), **empty},
            {"fid": 32, "geom": strip(100, 200, 0, 4), **empty},
        ],
        "lane_group_connectors": [
            {
                "fid": 33,
                "geom": strip(80, 100, 0, 4),
                "from_lane_group_fid": 31,
                "to_lane_group_fid": 32,
                "intersection_fid": 61,
            },
        ],
        "baseline_paths": [
            {"fid": 81, "geom": line(0, 80, 2), "lane_fid": 11, "lane_connector_fid": None},
            {"fid": 82, "geom": line(0, 80, -2), "lane_fid": 12, "lane_connector_fid": None},
            {"fid": 83, "geom": line(100, 200, 2), "lane_fid": 13, "lane_connector_fid": None},
            {"fid": 84, "geom": line(80, 100, 2), "lane_fid": None, "lane_connector_fid": 21},
        ],
        "boundaries": [
            {"fid": 41, "geom": line(80, 0, 4), "boundary_type_fid": 2},  # against the driving direction
            {"fid": 42, "geom": line(0, 80, 0), "boundary_type_fid": 0},
            {"fid": 43, "geom": line(0, 80, -4), "boundary_type_fid": 2},
            {"fid": 44, "geom": line(100, 200, 4), "boundary_type_fid": 2},
            {"fid": 45, "geom": line(100, 200, 0), "boundary_type_fid": 2},
            {"fid": 46, "geom": line(80, 100, 4), "boundary_type_fid": 3},
            {"fid": 47, "geom": line(80, 100, 0), "boundary_type_fid": 3},
        ],
        "stop_polygons": [
            {
                "fid": 51,
                "geom": strip(78, 80, 0, 4),
                "stop_polygon_type_fid": 2,
                "lane_fids": "11",
                "lane_connector_fids": "21",
            },
            {
                "fid": 52,
                "geom": strip(90, 92, 0, 4),
                "stop_polygon_type_fid": 3,
                "lane_fids": "",
                "lane_connector_fids": "21",
            },
        ],
        "crosswalks": [{"fid": 55, "geom": strip(96, 99, 0, 4), **empty}],
        "intersections": [{"fid": 61, "geom": strip(80, 100, -10, 10), **empty}],
        "walkways": [{"fid": 65, "geom": strip(0, 80, 4, 6), **empty}],
        "carpark_areas": [{"fid": 66, "geom": strip(20, 40, -9, -4), **empty}],
        "road_segments": [{"fid": 67, "geom": strip(0, 200, -4, 4), **empty}],
        "generic_drivable_areas": [{"fid": 68, "geom": strip(100, 200, -4, 0), **empty}],
    }


def write_db(root: Path, seconds: float = 12.0, name: str = LOG, speed: float = 8.0) -> Path:
    """Write a log of the ego driving east at constant speed, a car 20 m ahead at the same, and a red light.

    20 Hz, scenes of a quarter each, images at 10 Hz without files; a tag "accelerating" on the samples of second 6.
    """
    file = root / "nuplan" / "splits" / "train" / f"{name}.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file)
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({columns})")
    token = lambda kind, index=0: f"{kind:<2}{index:06d}".encode()  # noqa: E731

    def insert(table, *values):
        connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", values)

    insert("log", token("lo"), "veh-00", "2020-09-13", START_US, name, LOCATION, LOCATION)
    insert("category", token("ca"), "vehicle", "")
    insert("track", token("tr"), token("ca"), 2.0, 5.0, 1.6)
    straight = pickle.dumps([1.0, 0.0, 0.0, 0.0])
    insert("lidar", token("li"), token("lo"), "MergedPointCloud", "", pickle.dumps([0.0, 0.0, 0.0]), straight)
    forward = pickle.dumps([0.5, -0.5, 0.5, -0.5])
    matrix = pickle.dumps([[300.0, 0.0, 159.5], [0.0, 300.0, 119.5], [0.0, 0.0, 1.0]])
    mount, lens = pickle.dumps([1.6, 0.0, 1.3]), pickle.dumps([-0.1, 0.0, 0.0, 0.0, 0.0])
    insert("camera", token("cm"), token("lo"), "CAM_F0", "", mount, forward, matrix, lens, 320, 240)
    count = round(seconds * 20)
    for index in range(count):
        time, east = START_US + 50_000 * index, EAST + 5 + speed * index * 0.05
        pose = (1.0, 0.0, 0.0, 0.0, speed, 0.0, 0.0, *[0.0] * 6, EPSG)
        insert("ego_pose", token("ep", index), time, east, NORTH + 2, 10.36, *pose, token("lo"))
        scene = token("sc", index * 4 // count)
        insert(
            "lidar_pc",
            token("pc", index),
            b"",
            b"",
            token("ep", index),
            token("li"),
            scene,
            f"{name}/MergedPointCloud/{index}.pcd",
            time,
        )
        box = (east + 20, NORTH + 2, 10.8, 2.0, 5.0, 1.6, speed, 0.0, 0.0, 0.0, 1.0)
        insert("lidar_box", token("bo", index), token("pc", index), token("tr"), b"", b"", *box)
        insert("traffic_light_status", token("tl", index), token("pc", index), 21, "red" if index < 100 else "green")
        if index % 2 == 0:
            insert(
                "image",
                token("im", index),
                b"",
                b"",
                token("ep", index),
                token("cm"),
                f"{name}/CAM_F0/{index}.jpg",
                time,
            )
        if 120 <= index < 140:
            insert("scenario_tag", token("st", index), token("pc", index), "accelerating", token("tr"))
    for index in range(4):
        insert("scene", token("sc", index), token("lo"), f"scene-{index:03d}", token("ep", count - 1), "31 33 32")
    connection.commit()
    connection.close()
    return file


def change(file: Path, statement: str, *values: object) -> None:
    """Execute a statement in an SQLite file."""
    connection = sqlite3.connect(file)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


_POSE = "x, y, z, qw, qx, qy, qz, vx, vy, vz"
_RATES = "acceleration_x, acceleration_y, acceleration_z, angular_rate_x, angular_rate_y, angular_rate_z"
TABLES = {
    "log": "token, vehicle_name, date, timestamp, logfile, location, map_version",
    "ego_pose": f"token, timestamp, {_POSE}, {_RATES}, epsg, log_token",
    "camera": "token, log_token, channel, model, translation, rotation, intrinsic, distortion, width, height",
    "lidar": "token, log_token, channel, model, translation, rotation",
    "image": "token, next_token, prev_token, ego_pose_token, camera_token, filename_jpg, timestamp",
    "lidar_pc": "token, next_token, prev_token, ego_pose_token, lidar_token, scene_token, filename, timestamp",
    "lidar_box": "token, lidar_pc_token, track_token, next_token, prev_token, x, y, z, width, length, height, vx, vy, "
    "vz, yaw, confidence",
    "track": "token, category_token, width, length, height",
    "category": "token, name, description",
    "scene": "token, log_token, name, goal_ego_pose_token, roadblock_ids",
    "scenario_tag": "token, lidar_pc_token, type, agent_track_token",
    "traffic_light_status": "token, lidar_pc_token, lane_connector_id, status",
}


def write_cloud(path, points, fields=("x", "y", "z", "intensity", "ring", "lidar_info"), types=("F4",) * 6, end=b""):
    """Write a point cloud as MergedPointCloud has them."""
    lines = [
        "# .PCD v0.7",
        "VERSION 0.7",
        f"FIELDS {' '.join(fields)}",
        f"SIZE {' '.join(kind[1] for kind in types)}",
        f"TYPE {' '.join(kind[0] for kind in types)}",
        f"COUNT {' '.join('1' * len(fields))}",
        f"WIDTH {len(points)}",
        "HEIGHT 1",
        f"POINTS {len(points)}",
        "DATA binary\n",
    ]
    dtype = np.dtype([(name, f"<{kind.lower()}") for name, kind in zip(fields, types, strict=True)])
    rows = np.array([tuple(point) for point in points], dtype)
    path.write_bytes("\n".join(lines).encode() + rows.tobytes() + end)
