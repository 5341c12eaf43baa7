"""A Ray cluster of some nodes on this machine, of which nodes are killed and replaced."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


class RayNodes:
    """A cluster, which `--on ray` finds: a head without CPUs, and nodes with one CPU each.

    Args:
        count: number of nodes, the head included.
    """

    def __init__(self, count: int) -> None:
        # Nodes import the work as the driver does.
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
        self._count, self._clusters, self._nodes = count, list[Any](), list[Any]()
        self._start()

    def _start(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        self._clusters.append(Cluster(initialize_head=True, head_node_args=head))
        os.environ["RAY_ADDRESS"] = self._clusters[-1].address
        self._nodes = [self._added() for _ in range(self._count - 1)]

    def _added(self) -> Any:
        return self._clusters[-1].add_node(num_cpus=1)

    def kill_one(self, rng: random.Random) -> None:
        """Kill all processes of a node by SIGKILL, and let another one join."""
        lost = self._nodes.pop(rng.randrange(len(self._nodes)))
        self._clusters[-1].remove_node(lost, allow_graceful=False)
        self._nodes.append(self._added())

    def kill_head(self) -> None:
        """Kill all processes of the head by SIGKILL. The other nodes end by themselves, after a minute."""
        self._clusters[-1].remove_node(self._clusters[-1].head_node, allow_graceful=False)

    def renew(self) -> None:
        """Start another cluster; the nodes of the one before may still be there."""
        self._start()

    def shut_down(self) -> None:
        """End all clusters."""
        del os.environ["RAY_ADDRESS"]
        for cluster in self._clusters:
            cluster.shutdown()


@contextmanager
def ray_nodes(count: int) -> Iterator[RayNodes]:
    """Start a cluster, which `--on ray` finds."""
    nodes = RayNodes(count)
    try:
        yield nodes
    finally:
        nodes.shut_down()
