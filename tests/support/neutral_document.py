"""A neutral log as a JSON document."""


def document():
    """Two seconds at 10 Hz on one lane, with a car that is listed before another only sometimes."""
    frames = []
    for step in range(25):
        a = ["a", "vehicle", 10.0 + step, 0.0, 0.0, 4.0, 2.0, 1.5, 10.0, 0.0]
        b = ["b", "pedestrian", 5.0, 3.0, 1.0, 0.6, 0.6, 1.8, 0.0, 0.0]
        ego = {"x": float(step), "y": 0.0, "heading": 0.1, "vx": 10.0, "vy": 0.0, "ax": 0.0, "ay": 0.0}
        objects = [b, a] if step > 3 else [a]
        lights = [["l1", "green"], ["l1", "red"]] if step == 7 else []
        frames.append({"t_us": 10**15 + step * 100_000, "ego": ego, "objects": objects, "traffic_lights": lights})
    square = [[0, -2], [60, -2], [60, 2], [0, 2]]
    lane = {"id": "l1", "roadblock_id": "g1", "type": "lane", "polygon": square, "centerline": [[0, 0], [60, 0]]}
    lane |= {"predecessors": [], "successors": [], "speed_limit_mps": None}
    group = {
        "id": "g1",
        "type": "roadblock",
        "polygon": square,
        "lane_ids": ["l1"],
        "predecessors": [],
        "successors": [],
    }
    empty = {key: [] for key in ("intersections", "carparks", "drivable_areas", "crosswalks")}
    vehicle = {"name": "pacifica", "width": 2.297, "front_length": 4.049, "rear_length": 1.127, "wheel_base": 3.089}
    return {
        "schema": "ps-neutral-log/1",
        "log_name": "made",
        "vehicle": vehicle | {"height": 1.777},
        "navsim_stride": 5,
        "frames": frames,
        "map": {"lanes": [lane], "roadblocks": [group], **empty},
        "route_roadblock_ids": ["g1"],
        "scenes": [
            {"token": "0123456789abcdef", "frame": 5, "num_history_frames": 2, "num_future_frames": 3},
            {
                "token": "0123456789abcdef0",
                "frame": 5,
                "num_history_frames": 2,
                "num_future_frames": 3,
                "route_roadblock_ids": [],
                "traffic_lights": [[], [["l1", "red"]], [], [["l1", "green"]], []],
                "extra_objects": [[], [["x", "barrier", 1, 2, 0, 1, 1, 1, 0, 0]], [], [], []],
                "ego_offset": [1.0, 2.0, 0.5],
            },
        ],
    }
