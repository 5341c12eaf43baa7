"""Options in YAML files: what a command writes it reads again, and mistakes are named."""

from dataclasses import fields, is_dataclass

import pytest
import tyro
import yaml

from swerve.cli import COMMANDS, options_class, parse
from swerve.config_file import as_config, read_config, write_config
from swerve.scenes import SwerveError

GIVEN = {
    "augment": ["town:1", "out", "--recovery.heading", "13.7", "--size", "96x56", "--cameras", "front", "left"],
    "build": [
        "town:1",
        "av2:x",
        "out",
        "--follow-up.heading-offsets",
        "-5",
        "0.1",
        "--size",
        "own",
        "--traffic",
        "log-replay",
    ],
    "compare": ["one", "two", "out", "--scenes", "2"],
    "contexts": ["town:1", "set", "out", "--workers", "3"],
    "drive": ["town:1", "out", "--planners", "idm", "human", "--rate", "2", "--planner-option", "gap=2"],
    "evaluate": ["bench", "out", "--planners", "idm,label=x", "--views", "raster", "photo", "--no-report"],
    "export 123d": ["town:1", "out", "--logs", "town-000000"],
    "export gsplat": ["town:1", "out.npz", "--cameras", "front", "--photo-interval", "1"],
    "export mesh": ["town:1", "out.glb", "--at", "3"],
    "finish": ["out"],
    "status": ["out", "--json"],
    "verify": ["out", "--repair"],
    "export navsim": ["bench", "out", "--views", "photo", "--split", "mine", "--no-images"],
    "fit": ["town:1", "out", "--densification.strategy", "mcmc", "--refine-egos"],
    "hidden-states": ["set", "out", "--vlm", "model", "--cameras", "front", "--size", "448x256", "--tokens", "8"],
    "info": [],
    "plan augment": ["town:1", "--nodes", "32x64", "--scenes", "1000", "--size", "96x56"],
    "probe": ["a=b.safetensors", "out.json", "--on", "set", "town:1"],
    "proposals": ["a.safetensors", "bench", "out.html", "--follow-ups"],
    "quality": ["town:1", "splats", "out", "--covered", "0.5"],
    "record": ["town:1", "out.rrd", "--seconds", "1", "2", "--scene", "3"],
    "score": ["town:1", "plans.json", "out.csv", "--name", "x"],
    "show": ["town:1", "out", "--at", "3"],
    "study": ["bench", "out", "--population", "20"],
    "view": ["town:1", "--once", "out.png", "--size", "640x360", "--planner", "idm"],
    "warmup": ["towns", "sets"],
    "serve driver": ["--planner", "idm", "--port", "0", "--deadline", "0.2"],
    "serve renderer": ["town:1", "--port", "0"],
    "submit check": ["submission.pkl", "--split", "navtest"],
    "submit navsim": [
        *("data", "out", "--split", "navtest", "--planner", "navsim:agent.yaml", "--planner-option", "lr=1"),
        *("--team-name", "T", "--authors", "A", "--email", "E", "--institution", "I", "--country", "C"),
        *("--planner-option", "hidden=2", "--version", "v1", "--incomplete"),
    ],
    "submit wod": [
        *("data", "out", "--planner", "constant-velocity", "--frames", "frames.json", "--shards", "2"),
        *("--account-name", "me@example.org", "--method-name", "M", "--authors", "A", "B", "--affiliation", "I"),
        *("--num-model-parameters", "200K", "--uses-public-model-pretraining", "True", "--public-model-names", "N"),
    ],
    "train": ["set", "out", "--parts", "paired:0.5:both", "recovery:1", "--model", "tiny"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_written_is_read_again(command, tmp_path):
    asked = parse(command, GIVEN[command])
    write_config(tmp_path / "config.yaml", asked)
    assert read_config(tmp_path / "config.yaml", type(asked)) == asked
    if command not in ("info", "warmup"):
        assert parse(command, ["--config", str(tmp_path / "config.yaml")]) == asked


def test_names_are_those_of_the_command_line(tmp_path):
    content = as_config(parse("augment", GIVEN["augment"]))
    assert content["sources"] == ["town:1"]
    assert content["size"] == "96x56"
    assert content["recovery"]["heading"] == 13.7
    assert "options" not in content
    assert "config" not in content


def test_the_command_line_takes_precedence(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("sources: [town:1]\nout: out\njpeg_quality: 70\nshard-scenes: 8\nrecovery: {lateral: 1}\n")
    asked = parse("augment", ["--config", str(path), "--jpeg-quality", "80"])
    assert (asked.options.jpeg_quality, asked.options.shard_scenes, asked.options.recovery.lateral) == (80, 8, 1.0)
    assert asked.sources == ("town:1",)
    asked = parse("augment", ["town:2", "town:3", "other", f"--config={path}"])
    assert (asked.sources, str(asked.out), asked.options.jpeg_quality) == (("town:2", "town:3"), "other", 70)


def test_a_file_has_options_that_help_leaves_out(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("rates: {means: {first: 0.5, last: 0.1}}\n")
    means = parse("fit", ["town:1", "out", "--config", str(path)]).options.fit.rates.means
    assert (means.first, means.last) == (0.5, 0.1)


def test_what_a_file_lacks_must_be_given(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("jpeg_quality: 70\n")
    assert parse("augment", ["town:1", "out", "--config", str(path)]).options.jpeg_quality == 70
    with pytest.raises(SwerveError, match="missing: "):
        parse("augment", ["--config", str(path)])
    path.write_text("views: [raster]\n")
    assert parse("evaluate", ["b", "out", "--planners", "idm", "--config", str(path)]).planners == ("idm",)
    with pytest.raises(SwerveError, match="missing: "):
        parse("evaluate", ["b", "out", "--config", str(path)])
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("qualty: 70", "qualty: no such option; the options are backend, cameras, cross_agent"),
        (
            "recovery: {sideways: 1}",
            "recovery.sideways: no such option; the options are attempts, bounds",
        ),
        ("jpeg_quality: high", "jpeg_quality: 'high' must be of type int"),
        ("jpeg_quality: true", "jpeg_quality: True must be of type int"),
        ("photos: 1", "photos: 1 must be of type bool"),
        ("scene_interval: [1]", r"scene_interval: [1] must be of type float"),
        ("cameras: front", "cameras: 'front' must be a list"),
        ("cross_agent: {length_range: [1, 2, 3]}", "cross_agent.length_range: [1, 2, 3] must be a list of 2"),
        ("style: pink", "style: 'pink' must be one of rap, surfaces"),
        ("size: large", "size: 'large' must be WIDTHxHEIGHT|own"),
        ("recovery: {heading: steep}", "recovery.heading: 'steep' must be DEGREES"),
        ("recovery: 3", "recovery: 3 must be options"),
        ("workers: many", "workers: 'many' must be of type int"),
        ("jpeg_quality: 700", "jpeg_quality: 700 must lie between 1 and 100"),
        ("- a", "must state options"),
        ("seed: 1\nviewpoints: [logged\n", "not a YAML file of options (line 3: expected ',' or ']'"),
    ],
)
def test_mistakes_are_named(text, complaint, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SwerveError) as caught:
        parse("augment", ["town:1", "out", "--config", str(path)])
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(SwerveError, match=r"nowhere\.yaml: cannot be read .No such file"):
        parse("augment", ["town:1", "out", "--config", "nowhere.yaml"])
    with pytest.raises(SwerveError, match="--config: a value is missing"):
        parse("augment", ["town:1", "out", "--config"])


def test_every_option_is_in_the_file():
    """Whatever a dataclass states is written, under its own name."""

    def count(kind):
        hints = [field for field in fields(kind) if field.name != "config"]
        return len(hints), hints

    for command in COMMANDS:
        asked = parse(command, GIVEN[command])
        written = yaml.safe_load(yaml.safe_dump(as_config(asked)))
        flat = [field for field in fields(asked) if is_dataclass(getattr(asked, field.name))]
        inner = sum(count(type(getattr(asked, field.name)))[0] for field in flat)
        assert len(written) >= count(options_class(command))[0] - len(flat) + (inner > 0)


def test_options_without_a_default_are_missing(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("traffic: log-replay")
    assert read_config(path, options_class("evaluate")).planners is tyro.MISSING


def test_a_choice_that_may_be_left_out_is_written_as_default(tmp_path):
    """In the order in which the type states them; null is that of files of earlier versions."""
    given = ["bench", "out", "--planners", "human"]
    assert as_config(parse("evaluate", given))["traffic"] == "default"
    assert parse("evaluate", [*given, "--traffic", "default"]).options.traffic is None
    assert parse("evaluate", [*given, "--traffic", "log-replay"]).options.traffic == "log-replay"
    for text, expected in (("null", None), ("default", None), ("log-replay", "log-replay")):
        (tmp_path / "own.yaml").write_text(f"traffic: {text}\n")
        assert parse("evaluate", [*given, "--config", str(tmp_path / "own.yaml")]).options.traffic == expected
    choices = "'default', 'log-replay', 'constant-velocity', 'navsim-reactive', 'lane-following'"
    with pytest.raises(SwerveError, match=f"'replay' .choose from {choices}"):
        parse("evaluate", [*given, "--traffic", "replay"])
    (tmp_path / "own.yaml").write_text("traffic: replay\n")
    with pytest.raises(SwerveError, match=r"traffic: 'replay' must be .default,log-replay"):
        parse("evaluate", [*given, "--config", str(tmp_path / "own.yaml")])
