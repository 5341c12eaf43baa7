"""Run `swerve serve renderer`."""

from swerve.eval.alpasim.protocol import RENDERER
from swerve.eval.alpasim.renderer_service import RendererService
from swerve.eval.alpasim.server import Server
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.job_report import open_sources
from swerve.options.serve_renderer import ServeRenderer
from swerve.serving import logging_to_terminal, serve_until_stopped


def run(args: ServeRenderer) -> int:
    """Serve logs until Ctrl-C or SIGTERM, and return the exit code."""
    logging_to_terminal()
    renderer = renderer_of(args.views, default_renderers("rap", args.seed, args.splats))
    (source,) = open_sources([args.source])
    service = RendererService(source, renderer)
    with Server(RENDERER, service.methods, args.host, args.port, args.threads) as server:
        count = len(source.names())
        print(f"renderer {renderer.name} of {count} logs on {args.host}:{server.port}", flush=True)
        serve_until_stopped(server)
    return 0
