"""Run py123d, in an interpreter that has it: `make AV2_ROOT ROOT` converts, `open ROOT` prints what it sees as JSON."""

import json
import sys
from pathlib import Path


def make(av2_root: Path, root: Path) -> None:
    """Convert the logs of Argoverse 2's train split: all poses, boxes, images and sweeps, and the map."""
    from py123d.api.map.arrow.arrow_map_writer import ArrowMapWriter
    from py123d.api.scene.arrow.arrow_log_writer import ArrowLogWriter, SyncConfig
    from py123d.api.scene.arrow.utils.log_writer_config import LogWriterConfig
    from py123d.parser.av2.av2_sensor_parser import Av2SensorParser

    parser = Av2SensorParser(["av2-sensor_train"], av2_sensor_root=av2_root)
    logs, sensors = root / "logs", root / "sensors"
    map_writer = ArrowMapWriter(force_map_conversion=True, maps_root=root / "maps", logs_root=logs)
    for map_parser in parser.get_map_parsers():
        map_writer.reset(map_parser.get_map_metadata())
        for item in map_parser.iter_map_objects():
            map_writer.write_map_object(item)
        map_writer.close()
    config = LogWriterConfig(
        async_conversion=True, camera_store_option="jpeg_binary", lidar_store_option="binary", lidar_codec="ipc_zstd"
    )
    writer = ArrowLogWriter(
        config, logs_root=logs, sensors_root=sensors, sync_config=SyncConfig("box_detections_se3.timestamp_us")
    )
    for log_parser in parser.get_log_parsers():
        writer.reset(log_parser.get_log_metadata())
        for modality in log_parser.iter_modalities_async():
            writer.write_async(modality)
        writer.close()


def seen(root: Path) -> dict:
    """Return what py123d reads of the logs of a root: at the first and the middle step, and of the map."""
    from py123d.api.scene.arrow.arrow_scene_builder import ArrowSceneBuilder
    from py123d.api.scene.scene_filter import SceneFilter
    from py123d.common.execution import SequentialExecutor

    builder = ArrowSceneBuilder(logs_root=root / "logs", maps_root=root / "maps")
    scenes = builder.get_scenes(SceneFilter(), SequentialExecutor())
    logs: dict[str, object] = {}
    for scene in scenes:
        if scene.get_log_metadata().log_name not in logs:
            logs[scene.get_log_metadata().log_name] = log_of(scene)
    return logs


def log_of(scene) -> dict:
    """Return what py123d reads of one log."""
    times = [time.time_us for time in scene.get_all_iteration_timestamps()]
    middle = len(times) // 2
    lidars = scene.get_lidar_metadatas()
    return {
        "times_us": times,
        "steps": {str(step): step_of(scene, step, lidars) for step in (0, middle)},
        "cameras": {str(camera): about.camera_name for camera, about in scene.get_camera_metadatas().items()},
        "map": map_of(scene.get_map_api()),
    }


def step_of(scene, step, lidars) -> dict:
    """Return ego, boxes, images and points at a step."""
    ego, boxes = scene.get_ego_state_se3_at_iteration(step), scene.get_box_detections_se3_at_iteration(step)
    lights = scene.get_traffic_light_detections_at_iteration(step)
    images = {
        about.camera_name: scene.get_camera_at_iteration(step, camera)
        for camera, about in scene.get_camera_metadatas().items()
    }
    cloud = scene.get_lidar_at_iteration(step, "lidar_merged") if lidars else None
    return {
        "rear_axle": ego.rear_axle_se3.array.tolist(),
        "center": ego.center_se3.array.tolist(),
        "velocity": ego.dynamic_state_se3.velocity_3d.array.tolist() if ego.dynamic_state_se3 else None,
        "boxes": {
            box.attributes.track_token: [*box.bounding_box_se3.array.tolist(), box.attributes.label.to_default().name]
            for box in boxes.box_detections
        },
        "lights": {str(light.lane_id): light.status.name for light in lights} if lights else {},
        "images": {
            name: [list(camera.image.shape), camera.camera_to_global_se3.array.tolist()]
            for name, camera in images.items()
            if camera is not None
        },
        "points": None if cloud is None else [len(cloud.point_cloud_3d), cloud.point_cloud_3d.mean(axis=0).tolist()],
    }


def map_of(api) -> dict | None:
    """Return the number of objects in each layer, and the lanes with length, successors and group."""
    if api is None:
        return None
    from py123d.datatypes import MapLayer

    layers = {layer.name: len(list(api.get_all_map_objects_in_layer(layer))) for layer in MapLayer}
    lanes = {
        str(lane.object_id): [
            float(lane.centerline.length),
            [int(other) for other in lane.successor_ids],
            lane.lane_group.object_id if lane.lane_group is not None else None,
        ]
        for lane in api.get_all_map_objects_in_layer(MapLayer.LANE)
    }
    return {"layers": layers, "lanes": lanes}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print("JSON" + json.dumps(seen(Path(sys.argv[2])), default=lambda value: value.item()))
