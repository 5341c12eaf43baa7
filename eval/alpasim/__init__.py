"""AlpaSim's services by gRPC: planners as its driver, logs as its renderer, and its drivers as planners."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.alpasim.driver_options import DriverOptions
    from swerve.eval.alpasim.driver_service import DriverService
    from swerve.eval.alpasim.remote_planner import RemotePlanner
    from swerve.eval.alpasim.renderer_service import RendererService
    from swerve.eval.alpasim.server import Server

__all__ = ["DriverOptions", "DriverService", "RemotePlanner", "RendererService", "Server"]

make_lazy(__name__)
