"""Check that the inputs of a training run are what its config asks for."""

from swerve.data.stream import ImageFit, SampleStream
from swerve.eval.context.context_store import ContextStore
from swerve.planners.learning.hidden_state_store import HiddenStateStore
from swerve.planners.learning.model_config import ModelConfig
from swerve.scenes import SwerveError


def check_run(stream: SampleStream, store: ContextStore | None, config: ModelConfig) -> None:
    """Check that stream, contexts and config are consistent.

    Raises:
        SwerveError: images or cameras are not the stream's, or sub-scores are trained without contexts.
    """
    size, trim = (config.image_width, config.image_height), config.trim
    fits = stream.options.fit.size == size and stream.options.fit.trim == trim and stream.cameras == config.cameras
    if config.cameras and not fits:
        fit = stream.options.fit
        raise SwerveError(
            f"{config.family}: the config has cameras {', '.join(config.cameras)} at {size[0]}x{size[1]} with "
            f"trim {trim}; the stream has {', '.join(stream.cameras)} at {fit.size[0]}x{fit.size[1]} with "
            f"trim {fit.trim}"
        )
    if store is None and config.auxiliary:
        raise SwerveError(
            f"{config.family}: the targets of auxiliary heads are in contexts (see `swerve contexts`). Give them, or "
            "leave auxiliary out"
        )
    if store is None and (config.score_weight or config.ranking_weight):
        raise SwerveError(
            f"{config.family}: sub-scores need contexts (see `swerve contexts`). Give them, or set score_weight and "
            "ranking_weight to 0"
        )


def check_hidden_states(hidden: HiddenStateStore | None, config: ModelConfig) -> None:
    """Check that hidden states are what the config is conditioned on.

    Raises:
        SwerveError: they are of other images or another model, or are given or missing against the config.
    """
    if config.hidden_states is None and hidden is None:
        return
    if config.hidden_states is None:
        raise SwerveError(
            f"{config.family}: hidden states are given, and this network is not conditioned on them. Leave them out, "
            "or train chainflow with conditioning hidden_states"
        )
    if hidden is None:
        raise SwerveError(
            f"{config.family}: conditioning is on hidden states, which needs them (see `swerve hidden-states`). Give "
            "those of the set"
        )
    stored, fit = hidden.stored, ImageFit((config.image_width, config.image_height), config.trim)
    if (stored.cameras, stored.fit) != (config.cameras, fit):
        was, own = (
            f"{', '.join(cameras)} at {one.size[0]}x{one.size[1]} with trim {one.trim}"
            for cameras, one in ((stored.cameras, stored.fit), (config.cameras, fit))
        )
        raise SwerveError(
            f"{config.family}: the hidden states are of cameras {was}; the network has {own}. Make them for these"
        )
    if stored.spec != config.hidden_states:
        raise SwerveError(f"{config.family}: the hidden states are of another model, layer or prompt than the config's")
