"""Trainer of a Gaussian scene."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int64

from swerve.data.splats.optimization.densification import DensificationStats, densify_and_prune, means2d_grad_norms
from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.data.splats.optimization.image_losses import image_losses
from swerve.data.splats.optimization.parameters import Parameters
from swerve.data.splats.optimization.regularization import (
    Ground,
    GroundBand,
    distance_from_ground,
    ground_band,
    mcmc_penalty,
    min_scale_penalty,
    opacity_outside,
)
from swerve.data.splats.optimization.trainable_graph import Rendering, exposures_of, graph_of, render_graph
from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.rasterizer.backends import SplatBackend, resolve_splat_backend
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.rasterizer.splats.splat_scene import SplatScene
from swerve.scenes import SwerveError

if TYPE_CHECKING:
    from swerve.data.splats.optimization.mcmc_strategy import McmcStrategy

# Interval in steps at which ground Gaussians are selected again, also after each densification.
_GROUND_EVERY = 100
# Half a car's length: extent for the learning rate of nodes' means, metres.
_NODE_EXTENT = 2.5
# Weight of the presence penalty for MCMC (Kheradmand et al. 2024).
_PRESENCE = 0.01


class Trainer:
    """State of a running fit.

    Args:
        start: initial scene.
        shots: training images.
        options: options of the fit.
        ground: ground height function of the world, or None.
        sizes: sizes of the nodes' boxes, by name.
    """

    def __init__(
        self,
        start: SplatScene,
        shots: Sequence[TrainingImage],
        options: FitOptions,
        ground: Ground | None,
        sizes: Mapping[str, Float[np.ndarray, "3"]],
    ) -> None:
        self.options, self.shots = options, shots
        self._ground, self._extents = ground, (_extent(shots), _NODE_EXTENT)
        self.graph = graph_of(start, shots, self._extents, options.rates, _device(options.backend))
        unknown = np.full(3, np.inf)
        halves = [sizes.get(node.name, unknown) / 2 + options.outside_box_margin for node in start.nodes]
        self._halves = np.array(halves, np.float32).reshape(-1, 3)
        self._chain = _chain(options)
        self._watch_anew()

    def step(self, step: int, index: int) -> dict[str, float]:
        """Run one training step on one image, and densify when due.

        Raises:
            SwerveError: the loss is not finite.
        """
        options, shot = self.options, self.shots[index]
        drawing = render_graph(self.graph, shot, int(self.graph.time_indices[index]), options)
        terms = self._terms(drawing, index)
        loss = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(loss):
            parts = ", ".join(f"{name} {value.item()}" for name, value in terms.items())
            raise SwerveError(
                f"the loss is not finite at step {step}, image {shot.name!r}: {parts}. Change the initial scene"
            )
        loss.backward()
        self._note(drawing, shot)
        progress = step / options.steps
        for parameters in (self.graph.static, self.graph.dynamic, self.graph.shared):
            parameters.step(progress)
        if self._chain is not None:
            self._walk(self._chain, step)
        elif options.densification.is_due(step):
            self._grow(step)
        if step % _GROUND_EVERY == 0 and not options.densification.is_due(step):
            self._band = self._found_ground()
        return {name: value.item() for name, value in terms.items()}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the complete state, copied, by name."""
        arrays = {"node_indices": self.graph.node_indices.copy()}
        for group, parameters in self._groups().items():
            arrays |= {f"{group}.{name}": array for name, array in parameters.to_arrays().items()}
        for group, watch in zip(("static", "dynamic"), self._watches, strict=True):
            arrays[f"{group}.stats.grad2d"] = watch.grad2d.cpu().numpy().copy()
            arrays[f"{group}.stats.count"] = watch.count.cpu().numpy().copy()
        if self._band is not None:
            arrays |= {f"ground.{name}": array for name, array in vars(self._band).items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the result of `to_arrays`."""
        for group, parameters in self._groups().items():
            own = {
                name.removeprefix(f"{group}."): array for name, array in arrays.items() if name.startswith(f"{group}.")
            }
            setattr(self.graph, group, parameters.from_arrays(own))
        self.graph.node_indices = arrays["node_indices"]
        device = self.graph.static["means"].device
        self._watches = tuple(
            DensificationStats(
                *(torch.from_numpy(arrays[f"{group}.stats.{what}"].copy()).to(device) for what in ("grad2d", "count"))
            )
            for group in ("static", "dynamic")
        )
        if self._band is not None:
            self._band = GroundBand(*(arrays[f"ground.{name}"] for name in ("rows", "points", "normals")))

    def _groups(self) -> dict[str, Parameters]:
        return {"static": self.graph.static, "dynamic": self.graph.dynamic, "shared": self.graph.shared}

    def _terms(self, drawing: Rendering, index: int) -> dict[str, torch.Tensor]:
        """Compute all loss terms, weighted."""
        options, graph = self.options, self.graph
        exposure = exposures_of(graph)[index] if options.exposures else None
        terms = image_losses(drawing, self.shots[index], exposure, options)
        if options.flatness_weight:
            terms["flatness"] = options.flatness_weight * min_scale_penalty(drawing.log_scales)
        if exposure is not None:
            identity = torch.eye(3, 4, device=exposure.device)
            terms["exposure"] = options.exposure_weight * (exposure - identity).square().mean()
        if self._band is not None and options.ground_weight:
            shape = (graph.static[name] for name in ("means", "quaternions", "log_scales"))
            terms["ground"] = options.ground_weight * distance_from_ground(self._band, *shape)
        if len(graph.node_indices) and options.outside_box_weight:
            halves = torch.from_numpy(self._halves[graph.node_indices]).to(drawing.color.device)
            means, logits = graph.dynamic["means"], graph.dynamic["opacity_logits"]
            terms["outside_box"] = options.outside_box_weight * opacity_outside(means, logits, halves)
        if self._chain is not None:
            terms["presence"] = _PRESENCE * self._presence()
        return terms | self._pose_terms()

    def _presence(self) -> torch.Tensor:
        """Compute the mean presence penalty over all Gaussians."""
        groups = zip((self.graph.static, self.graph.dynamic), self._extents, strict=True)
        sums = [mcmc_penalty(group["opacity_logits"], group["log_scales"], extent) for group, extent in groups]
        return torch.stack(sums).sum() / len(self.graph)

    def _pose_terms(self) -> dict[str, torch.Tensor]:
        """Compute the penalty of pose deltas."""
        terms = {}
        for what, refine in {"ego": self.options.refine_egos, "box": self.options.refine_boxes}.items():
            turns, shifts = self.graph.shared[f"{what}_rotations"], self.graph.shared[f"{what}_translations"]
            if refine and len(turns):
                size = turns.square().sum(dim=1).mean() + shifts.square().sum(dim=1).mean()
                terms[f"{what} poses"] = self.options.pose_weight * size
        return terms

    def _note(self, drawing: Rendering, shot: TrainingImage) -> None:
        """Accumulate densification statistics of a rendering after the backward pass."""
        lengths = means2d_grad_norms(drawing.centers, shot.camera.width, shot.camera.height)
        still, moving = self._watches
        count = len(still.grad2d)
        still.update(lengths[:count])
        moving.update(lengths[count:], torch.from_numpy(drawing.rows).to(lengths.device))

    def _grow(self, step: int) -> None:
        graph, generator = self.graph, np.random.default_rng(np.random.Philox([self.options.seed, 1, step]))
        groups = list(zip((graph.static, graph.dynamic), self._watches, self._extents, strict=True))
        (graph.static, _), (graph.dynamic, sources) = densify_and_prune(groups, self.options.densification, generator)
        self._settle(sources)

    def _walk(self, chain: "McmcStrategy", step: int) -> None:
        """Run gsplat's densification."""
        graph, sources = self.graph, None
        for number, (parameters, extent) in enumerate(zip((graph.static, graph.dynamic), self._extents, strict=True)):
            room = self.options.densification.max_gaussians - len(graph) + len(parameters["means"])
            sources = chain.step(parameters, number, extent, room, step)
        if sources is not None:
            self._settle(sources)

    def _settle(self, sources: Int64[np.ndarray, "m"]) -> None:
        """Reorder the moving Gaussians by node after a densification, given their source rows."""
        graph = self.graph
        owners = graph.node_indices[sources]
        order = np.argsort(owners, kind="stable")
        graph.node_indices = owners[order]
        graph.dynamic = graph.dynamic.replace_rows(
            order, {name: value[:0] for name, value in graph.dynamic.values().items()}
        )
        self._watch_anew()

    def _watch_anew(self) -> None:
        self._watches = (DensificationStats.zeros(self.graph.static), DensificationStats.zeros(self.graph.dynamic))
        self._band = self._found_ground()

    def _found_ground(self) -> GroundBand | None:
        """Select the current ground Gaussians of the background."""
        if self._ground is None:
            return None
        means, options = self.graph.static["means"].detach().cpu().numpy(), self.options
        return ground_band(means, self.graph.initial.origin, self._ground, options.ground_above, options.ground_below)


def _device(backend: SplatBackend) -> str:
    """Return the device of the Gaussians."""
    return "cpu" if resolve_splat_backend(backend) == "numba" else "cuda"


def _chain(options: FitOptions) -> "McmcStrategy | None":
    """Build gsplat's strategy, if requested.

    Raises:
        SwerveError: the strategy is requested, and the back end runs on the CPU.
    """
    if options.densification.strategy == "split-and-clone":
        return None
    if resolve_splat_backend(options.backend) == "numba":
        raise SwerveError(
            "densification.strategy mcmc needs the back end gsplat: use --backend gsplat, or strategy split-and-clone"
        )
    from swerve.data.splats.optimization.mcmc_strategy import McmcStrategy
    from swerve.rasterizer.splats.gsplat import load_library

    return McmcStrategy(options.densification, options.seed, load_library())


def _extent(shots: Sequence[TrainingImage]) -> float:
    """Compute the scene's extent: radius of the ego positions about their mean, metres; at least 1 m."""
    places = np.array([shot.world_from_ego[:3, 3] for shot in shots])
    return max(1.1 * float(np.linalg.norm(places - places.mean(axis=0), axis=1).max()), 1.0)
