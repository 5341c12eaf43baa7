"""A Ray cluster of some nodes on this machine, of which nodes are killed and replaced."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


class RayNodes:
    """A cluster: a head without CPUs, which lives, and nodes with one CPU each.

    Args:
        count: number of nodes, the head included.
    """

    def __init__(self, count: int) -> None:
        from ray.cluster_utils import Cluster

        # Nodes import the work as the driver does.
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
        self.cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._nodes = [self._added() for _ in range(count - 1)]

    def _added(self) -> Any:
        return self.cluster.add_node(num_cpus=1)

    def kill_one(self, rng: random.Random) -> None:
        """Kill all processes of a node by SIGKILL, and let another one join."""
        lost = self._nodes.pop(rng.randrange(len(self._nodes)))
        self.cluster.remove_node(lost, allow_graceful=False)
        self._nodes.append(self._added())


@contextmanager
def ray_nodes(count: int) -> Iterator[RayNodes]:
    """Start a cluster, which `--on ray` finds."""
    nodes = RayNodes(count)
    os.environ["RAY_ADDRESS"] = nodes.cluster.address
    try:
        yield nodes
    finally:
        del os.environ["RAY_ADDRESS"]
        nodes.cluster.shutdown()
