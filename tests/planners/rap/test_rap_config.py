import json

import pytest

from swerve.planners.rap.rap_config import RapConfig
from swerve.scenes import SwerveError


def test_json_keeps_it_all():
    for config in (RapConfig(), RapConfig.tiny(cameras=("a", "b"), backbone_weights="hub", domain_weight=0.3)):
        assert RapConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_older_files_get_the_defaults_of_new_fields():
    content = RapConfig.tiny(dim=32).to_json()
    for name in ("anchors", "status_dropout", "lora_rank"):
        del content[name]
    assert RapConfig.from_json(content) == RapConfig.tiny(dim=32)


def test_the_papers_numbers():
    """Reference: tables of the paper, and the released code's config for what it does not say."""
    config = RapConfig()
    assert (config.proposals, config.poses, config.refinement_rounds, config.refinement_layers) == (64, 10, 4, 2)
    assert (config.dim, config.mlp_dim, config.heads, config.dropout) == (1280, 1024, 8, 0.1)
    assert (config.spatial_weight, config.domain_weight, config.reversal_scale) == (0.002, 0.1, 0.1)
    assert (config.direction, config.freeze_backbone) == ("real-to-raster", True)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"proposals": 0}, "proposals is 0, it must be above 0"),
        ({"dim": 30}, r"dim is 30, it must be a multiple of heads \(4\)"),
        ({"poses": 7}, r"7 poses every 0.5 s end before 4 s"),
        ({"cameras": ()}, "cameras are"),
        ({"cameras": ("a", "a")}, "each named once"),
        ({"spatial_weight": -0.1}, "spatial_weight is -0.1, it must not be below 0"),
        ({"metric_weights": (1.0,) * 7}, "needs 8 metric_weights"),
        ({"metric_weights": (1.0,) * 7 + (-1.0,)}, "must not be below 0"),
        ({"dropout": 1.5}, "dropout is 1.5, it must be between 0 and 1"),
        ({"spatial_weight": float("nan")}, "spatial_weight is nan"),
        (
            {"proposals": 0, "anchors": 8, "scorer_layers": 1, "score_weight": 0.0},
            "fixed vocabulary alone learns from sub-scores only: give contexts",
        ),
    ],
)
def test_impossible_configs_are_refused(changes, complaint):
    with pytest.raises(SwerveError, match=complaint):
        RapConfig.tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"direction": "sideways"}, "direction is 'sideways'"),
        ({"heads": 4.0}, "heads is 4.0, it must be int"),
        ({"trim": [0.0, 0.1]}, "trim is"),
        ({"heights": ["a"]}, "heights is"),
        ({"freeze_backbone": 1}, "freeze_backbone is 1, it must be bool"),
        ({"backbone_weights": 3}, "backbone_weights is 3"),
        ({"cameras": "front"}, "cameras is 'front'"),
    ],
)
def test_json_of_other_types_is_refused(changes, complaint):
    with pytest.raises(SwerveError, match=complaint):
        RapConfig.from_json({**RapConfig.tiny().to_json(), **changes})
