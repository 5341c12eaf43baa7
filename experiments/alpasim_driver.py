"""Measure the driver service of AlpaSim: `python -m experiments.alpasim_driver latency|sessions|faults`.

- latency: times of drive calls, as a client on this machine sees them, for planners one after the other: the built-in
  ones, and RAP of the tiny size with random weights and eight cameras of 1920x1080; the same RAP as a user's planner
  (`OwnRap`), in a process of its own. A rollout has images and egomotion at 2 Hz, as in the challenge's nuPlan track.
  `--planners FILE.safetensors` measures trained ones instead.
- sessions: a hundred sessions at once, each a client in a thread of its own that drives as fast as it is answered.
- faults: rounds of clients that are killed in the midst of a call, of malformed messages and of methods that are not
  there; memory, threads and open files of the server after each round.

The server is `swerve serve driver` in a process of its own.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from swerve.data.dataset.image_encoding import encode_image
from swerve.eval.alpasim.camera_specs import camera_message
from swerve.eval.alpasim.frames import motion_message, trajectory_message, upright
from swerve.eval.alpasim.protocol import DRIVER, import_grpc, protocol
from swerve.eval.alpasim.route_command import command_route, route_message
from swerve.eval.alpasim.stub import Stub
from swerve.scenes import Camera, SwerveError
from swerve.scenes.camera import FORWARD
from swerve.scenes.camera_roles import ROLES
from swerve.scenes.planning import Observation, Trajectory
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from swerve.scenes.viewpoints import Command

START_US = 1_700_000_000_000_000
STEP_US = 500_000
BUILT_INS = ("stationary", "constant-velocity", "constant-acceleration", "human")


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("latency", "sessions", "faults", "client"))
    parser.add_argument("--calls", type=int, default=100, help="drive calls of each planner or session")
    parser.add_argument("--sessions", type=int, default=100, help="sessions at once")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of faults")
    parser.add_argument("--planners", nargs="*", default=(), help="planners, in latency instead of those above")
    parser.add_argument("--options", nargs="*", default=(), help="of swerve serve driver: threads=2, ...")
    parser.add_argument("--address", help="of the server, for `client`, which is started by `faults`")
    args = parser.parse_args()
    if args.what == "client":
        endless_client(args.address)
    with tempfile.TemporaryDirectory() as folder:
        rap = tiny_rap(Path(folder))
        if args.what == "latency":
            own = f"experiments.alpasim_driver:{OwnRap.__name__},path={rap}"
            measure_latency(args.planners or [*BUILT_INS, rap, own], args.calls, args.options)
        elif args.what == "sessions":
            measure_sessions(["constant-velocity", rap, *args.planners], args.sessions, args.calls)
        else:
            measure_faults(args.rounds, args.sessions)


def measure_latency(planners: Sequence[str], calls: int, options: Sequence[str]) -> None:
    """Print quantiles of drive calls, and of the submission of eight images, in milliseconds."""
    titles = ("median", "90 %", "99 %", "most", "> 0.1 s", "late", "images")
    print(f"{'planner':24} " + " ".join(f"{one:>8}" for one in titles) + "   (ms)")
    for planner in planners:
        seen = rig() if ".safetensors" in planner else ()
        with driver(planner, *(f"--{one}" for one in options)) as server:
            rollout = Rollout(server.address, "latency", seen)
            times = np.array([rollout.step(row) for row in range(calls)])
            rollout.close()
        quantiles = 1e3 * np.quantile(times[:, 1], [0.5, 0.9, 0.99, 1.0])
        late = int(re.findall(r"drive calls, (\d+) late", server.ended())[-1])
        shown = " ".join(f"{one:8.2f}" for one in quantiles)
        over, images = np.mean(times[:, 1] > 0.1), 1e3 * np.median(times[:, 0])
        name = planner.split(",")[0].split(":")[-1].split("/")[-1]
        print(f"{name:24} {shown} {over:8.1%} {late:8d} {images:8.1f}", flush=True)


def measure_sessions(planners: Sequence[str], sessions: int, calls: int) -> None:
    """Print what a number of sessions at once are answered."""

    def drive(name: str) -> list[float]:
        rollout = Rollout(server.address, name, seen)
        found = [rollout.step(row)[1] for row in range(calls)]
        rollout.close()
        return found

    for planner in planners:
        seen = tuple(one.resized(320, 180) for one in rig()) if planner.endswith(".safetensors") else ()
        with driver(planner, "--max-sessions", str(sessions)) as server:
            before, start = server.state(), time.perf_counter()
            with ThreadPoolExecutor(sessions) as pool:
                found = list(pool.map(drive, [f"session {row}" for row in range(sessions)]))
            seconds = time.perf_counter() - start
            after = server.state()
        times = 1e3 * np.quantile(np.concatenate(found), [0.5, 0.99, 1.0])
        print(
            f"{Path(planner).stem}: {sessions} sessions, {sessions * calls / seconds:.0f} drive calls per second; ",
            end="",
        )
        print(f"median {times[0]:.0f} ms, 99 % {times[1]:.0f} ms, most {times[2]:.0f} ms")
        print(f"  server before {before}, after {after}; {server.ended().splitlines()[-1]}", flush=True)


def measure_faults(rounds: int, clients: int) -> None:
    """Print the state of a server after rounds of killed clients and malformed messages."""
    grpc, random = import_grpc(), np.random.default_rng(0)
    with driver("constant-velocity", "--session-timeout", "10", "--max-sessions", "1000") as server:
        for row in range(rounds):
            command = [sys.executable, "-m", "experiments.alpasim_driver", "client", "--address", server.address]
            killed = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
            for one in killed:
                assert one.stdout is not None
                one.stdout.readline()
            for one in killed:
                one.kill()
                one.wait()
            for number in range(clients):  # clients that begin a session and are never heard of again
                rollout = Rollout(server.address, f"gone {row} {number}", ())
                rollout.step(0)
                rollout.stub.close()
            answers: Counter[str] = Counter()
            with grpc.insecure_channel(server.address) as channel:
                for method in [*protocol().services[DRIVER], "shut_down"] * 100:
                    try:
                        channel.unary_unary(f"/{DRIVER}/{method}")(
                            random.bytes(int(random.integers(1, 300))), timeout=10
                        )
                        answers["OK"] += 1
                    except grpc.RpcError as error:
                        answers[error.code().name] += 1
            time.sleep(17.0)  # sessions end after 10 s, which is looked for every 5 s
            check = Rollout(server.address, f"check {row}", ())
            milliseconds = 1e3 * check.step(0)[1]
            check.close()
            print(f"round {row}: {server.state()}; malformed: {dict(answers)}; then a drive call {milliseconds:.1f} ms")
    print(server.ended().splitlines()[-1])


def endless_client(address: str) -> None:
    """Drive until killed."""
    rollout = Rollout(address, f"killed {os.getpid()}", ())
    rollout.step(0)
    print("driving", flush=True)
    for row in range(1, 1_000_000):
        rollout.step(row)


class OwnRap:
    """A trained planner as a class of a user's, which runs in a process of its own.

    Args:
        path: of the planner's file.
    """

    def __init__(self, path: str) -> None:
        from swerve.planners.learning import load_learned

        self._learned = load_learned(path)
        self.cameras = self._learned.cameras
        self.prepare_image = self._learned.prepare_image

    def plan(self, observation: Observation) -> Trajectory:
        """Return the plan of the trained planner."""
        return self._learned.plan(observation)


class UnpreparedRap(OwnRap):
    """The same without `prepare_image`: it resizes images in the plan."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        del self.prepare_image


class Rollout:
    """A client that drives along a line at 5 m/s.

    Args:
        address: of the driver.
        uuid: of the session.
        cameras: of which images are submitted.
    """

    def __init__(self, address: str, uuid: str, cameras: Sequence[Camera]) -> None:
        self.stub, self.uuid = Stub(DRIVER, address, 300.0), uuid
        random = np.random.default_rng(0)
        blocks = random.integers(0, 256, (9, 16, 3), np.uint8)
        self.images = {
            camera.name: encode_image(
                np.kron(blocks, np.ones((camera.height // 9, camera.width // 16, 1), np.uint8)), "jpeg"
            )
            for camera in cameras
        }
        messages = protocol()
        spec = messages.DriveSessionRequest.RolloutSpec()
        spec.vehicle.available_cameras.extend(camera_message(camera) for camera in cameras)
        self.call("start_session", rollout_spec=spec)
        self.move(np.arange(-1_500_000, 1, 100_000))
        recorded = np.arange(0, 400) * STEP_US
        truth = messages.GroundTruth(timestamp_us=START_US, trajectory=line(recorded))
        self.call("submit_recording_ground_truth", ground_truth=truth)

    def call(self, method: str, **fields: object) -> object:
        """Call a method."""
        return self.stub.call(method, protocol().services[DRIVER][method].request(session_uuid=self.uuid, **fields))

    def move(self, after_us: np.ndarray) -> None:
        """Submit egomotion at times after the start."""
        state = motion_message(np.array([5.0, 0.0]), np.zeros(2), 0.0)
        self.call("submit_egomotion_observation", trajectory=line(after_us), dynamic_states=[state] * len(after_us))

    def step(self, row: int) -> tuple[float, float]:
        """Drive a step; return the seconds that images and the drive call took."""
        messages, now_us = protocol(), START_US + row * STEP_US
        start = time.perf_counter()
        for name, encoded in self.images.items():
            image = messages.RolloutCameraImage.CameraImage(
                frame_start_us=now_us, frame_end_us=now_us, image_bytes=encoded, logical_id=name
            )
            self.call("submit_image_observation", camera_image=image)
        images = time.perf_counter() - start
        if row:
            self.move(np.array([row * STEP_US]))
        self.call("submit_route", route=route_message(command_route(Command.STRAIGHT), now_us))
        start = time.perf_counter()
        self.call("drive", time_now_us=now_us, time_query_us=now_us + STEP_US)
        return images, time.perf_counter() - start

    def close(self) -> None:
        """End the session."""
        self.call("close_session")
        self.stub.close()


class Served:
    """A driver in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process, self.address, self._output = process, address, ""

    def state(self) -> str:
        """Return memory, threads and open files of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        numbers = {name: re.findall(rf"{name}:\s+(\d+)", status)[0] for name in ("VmRSS", "Threads")}
        files = len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
        return f"{int(numbers['VmRSS']) / 1024:.0f} MB, {numbers['Threads']} threads, {files} files"

    def ended(self) -> str:
        """Return what it printed, after its end."""
        return self._output

    def stop(self) -> None:
        """End it by SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self._output = self.process.communicate(timeout=60)[0]


@contextmanager
def driver(planner: str, *options: str) -> Iterator[Served]:
    """Serve a planner."""
    command = [sys.executable, "-c", "from swerve.cli import main; main()", "serve", "driver", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--planner", planner, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    for text in process.stdout:
        if found := re.search(r" on (\S+:\d+);", text):
            served = Served(process, found[1])
            break
    else:
        raise SwerveError(f"swerve serve driver --planner {planner} ended")
    try:
        yield served
    finally:
        served.stop()


def line(after_us: np.ndarray) -> object:
    """Return a trajectory along the x axis at 5 m/s."""
    planar = np.column_stack([5e-6 * after_us, np.zeros((len(after_us), 2))])
    return trajectory_message(START_US + after_us, upright(planar, 0.0))


def rig() -> tuple[Camera, ...]:
    """Return eight cameras that look where nuPlan's do."""
    return tuple(
        Camera(
            *(name, 1920, 1080, 1545.0, 1545.0, 960.5, 560.5),
            rigid_transform(rotation_about_z(np.deg2rad(yaw)) @ FORWARD, np.array([1.5, 0.0, 1.5])),
        )
        for name, yaw in ROLES.items()
    )


def tiny_rap(folder: Path) -> str:
    """Write RAP of the tiny size, with random weights and eight cameras."""
    from swerve.planners.learning import save_learned
    from swerve.planners.rap import RapConfig, RapModel

    path = folder / "rap-tiny.safetensors"
    save_learned(RapModel(RapConfig.tiny(cameras=tuple(ROLES))), {}, path)
    return str(path)


if __name__ == "__main__":
    main()
