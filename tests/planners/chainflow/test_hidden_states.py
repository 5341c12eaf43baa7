"""ChainFlow conditioned on hidden states of a vision-language model, for which a tiny random one stands."""

import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")
if find_spec("transformers") is None:
    pytest.skip("transformers is an extra", allow_module_level=True)

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs import ArrayPart, ArrayPartDone, Execution
from swerve.data.jobs.job_status import job_status
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.planners.chainflow import ChainFlowConfig
from swerve.planners.learning import LearnedPlanner, load_learned, save_learned
from swerve.planners.learning.hidden_state_job import VlmOptions, write_hidden_states
from swerve.planners.learning.hidden_state_store import HiddenStateStore
from swerve.planners.learning.hidden_states import VARIABLE, HiddenStates, require_transformers
from swerve.planners.learning.inputs import inputs_of
from swerve.planners.learning.train import Process, RunOptions, train
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_batch import views_of
from swerve.planners.learning.training_step import Training
from swerve.scenes import MissingExtraError, SwerveError
from tests.support.command import invoke
from tests.support.simple_source import SimpleSource

transformers = require_transformers()
CPU = torch.device("cpu")
FIT = ImageFit((72, 40))
OFF = {"score_weight": 0.0, "spatial_weight": 0.0, "domain_weight": 0.0}
WORDS = ["<unk>", "<pad>", "<image>", "You", "drive", "what", "now", "."]


def write_model(folder, seed):
    """Write a Llava of 2 + 2 layers and 16 dimensions with random weights, as `save_pretrained` does."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="<unk>"))
    vocabulary.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=vocabulary,
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<image>"],
    )
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**small, image_size=32, patch_size=16, projection_dim=16),
        text_config=transformers.LlamaConfig(**small, vocab_size=len(WORDS), num_key_value_heads=2),
        image_token_id=WORDS.index("<image>"),
        vision_feature_layer=-1,
    )
    torch.manual_seed(seed)
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    transformers.LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two models, a set and a benchmark of one log, and the hidden states of the set by the first model."""
    folder, source = tmp_path_factory.mktemp("states"), SimpleSource(("train-1",))
    for name, seed in (("vlm", 0), ("other", 1)):
        write_model(folder / name, seed)
    options = AugmentOptions(scene_interval=2.0, viewpoints=("logged",), size=(72, 40), cameras=("front",))
    augment([source], folder / "set", replace(options, shard_scenes=2), workers=1)
    more = BuildOptions(
        scene_interval=2.0, size=(72, 40), views=("raster",), traffic="log-replay", min_follow_ups=1, max_follow_ups=1
    )
    assert not build([source], folder / "benchmark", more, workers=1).failures
    _, result = make_states(folder)
    assert not result.failures
    assert result.item_count >= 3
    return folder


def make_states(folder, out="states", fit=FIT, execution=1):
    vlm = VlmOptions(folder / "vlm", -1, 3, "what now")
    return write_hidden_states(folder / "set", folder / out, vlm, ("front",), fit, ("raster",), execution)


@pytest.fixture(scope="module")
def store(made):
    return HiddenStateStore([made / "states"], [made / "set"])


@pytest.fixture(scope="module")
def config(store):
    own = {f"vlm_{name}": value for name, value in vars(store.stored.spec).items()}
    sizes = {"image_height": 40, "image_width": 72, "dim": 16, "mlp_dim": 16, "heads": 2}
    return ChainFlowConfig.tiny(conditioning="hidden_states", **sizes, **own, **OFF)


def stream_of(made):
    return SampleStream(made / "set", StreamOptions((Part("raster_only"),), FIT, ("front",), batch_size=3))


def test_states_are_the_models_averaged_over_parts_of_the_sequence(made):
    encoder = HiddenStates(made / "vlm", layer=1, tokens=2, prompt="what now", device=CPU)
    assert encoder.spec.width == 16
    image = np.random.default_rng(0).integers(0, 255, (40, 72, 3), np.uint8)
    found = encoder.tokens([image, image])
    model, processor = encoder._model, encoder._processor
    given = processor(text=["<image> <image> what now"], images=[image, image], return_tensors="pt")
    # Four patches of each image, and two words.
    assert given["input_ids"].shape == (1, 10)
    with torch.no_grad():
        states = model(**given, output_hidden_states=True).hidden_states[1][0].numpy()
    np.testing.assert_allclose(found, [states[:5].mean(axis=0), states[5:].mean(axis=0)], atol=2e-3)
    # Planners of different layers, evaluated together, share one model.
    assert HiddenStates(made / "vlm", layer=0, device=CPU)._model is model
    with pytest.raises(SwerveError, match="layer is 9, the model has 3"):
        HiddenStates(made / "vlm", layer=9, device=CPU).tokens([image])


def test_the_states_of_an_observation_are_those_of_the_training_row(made, store, config, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(made / "vlm"))
    batch = stream_of(made).batch(0).to()
    trained = views_of(batch, [None] * 3, config, hidden=store).inputs
    assert trained.hidden.shape == (3, 3, 16)
    assert (trained.hidden[0] - trained.hidden[1]).abs().max() > 0
    benchmark, compared = open_benchmark(made / "benchmark", "raster"), 0
    planner = LearnedPlanner(Training(config, TrainingOptions(1), CPU).model.eval(), {})
    for name in benchmark.scene_groups("train-1"):
        group = benchmark.scene_group(name)
        now = group.scenes[group.group.now]
        observation = observation_of(now, now.context(), planner, group.views)
        (row,) = [row for row, one in enumerate(batch.provenance) if f"-{one.token}-" in now.token]
        assert torch.equal(inputs_of([observation], config).hidden[0], trained.hidden[row])
        compared += 1
    assert compared >= 2
    monkeypatch.setenv(VARIABLE, str(made / "other"))
    with pytest.raises(SwerveError, match="holds another model than the one that this planner was trained with"):
        planner.plan(observation)
    monkeypatch.setenv(VARIABLE, str(made))
    with pytest.raises(SwerveError, match=f"{VARIABLE}: .*: no config.json"):
        planner.plan(observation)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(SwerveError, match=f"set {VARIABLE} to its local folder"):
        planner.plan(observation)


def test_a_planner_without_its_model_is_refused_before_scenes_are_scored(made, config, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    path = tmp_path / "planner.safetensors"
    save_learned(Training(config, TrainingOptions(1), CPU).model.eval(), {}, path)
    result = invoke("evaluate", made / "benchmark", tmp_path / "results", "--planners", path)
    assert result.exit_code != 0
    assert f"set {VARIABLE} to its local folder" in str(result.exception)
    assert not (tmp_path / "results" / "failures.json").exists()


def test_training_conditions_the_flow_on_them_and_the_planner_plans(made, store, config, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(made / "vlm"))
    process, loop = Process(0, 1, CPU), RunOptions(workers=0)
    path = train(stream_of(made), None, config, TrainingOptions(2), tmp_path, process, loop, hidden=store)
    planner = load_learned(path, "cpu")
    assert planner.model.config.hidden_states == store.stored.spec
    batch = views_of(stream_of(made).batch(0).to(), [None] * 3, config, hidden=store)
    model = planner.model
    tokens, seen = model.condition(torch.zeros(3, 1, 16, 1, 1), batch.inputs)
    assert tokens.shape == (3, 3, 16)
    assert seen.all()
    with torch.no_grad():
        for block in model.flow.blocks:
            block.modulation[1].bias.fill_(0.5)
        model.flow.output_projection.weight.normal_(generator=torch.Generator().manual_seed(0))
        plain = model(batch.inputs).poses
        other = model(replace(batch.inputs, hidden=batch.inputs.hidden.flip(0))).poses
    assert (plain - other).abs().max() > 1e-4
    model.extra_losses(model(batch.inputs), batch)["flow"].backward()
    assert model.condition.project[1].weight.grad.abs().sum() > 0
    with pytest.raises(SwerveError, match="conditioned on hidden states, and the inputs have none"):
        model(replace(batch.inputs, hidden=None))


def test_a_stopped_job_makes_what_is_missing_and_others_are_refused(made, tmp_path):
    folder = tmp_path / "states"
    shutil.copytree(made / "states", folder)
    lost, cut, *kept = sorted((folder / "train").glob("*.tar"))
    lost.unlink()
    (folder / "records" / f"{cut.stem}.json").write_text("{")
    (folder / "hidden_states.json").unlink()
    with pytest.raises(SwerveError, match="not finished hidden states"):
        HiddenStateStore([folder], [made / "set"])
    before = [path.stat().st_mtime_ns for path in kept]
    _, result = make_states(made, folder)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert 0 < result.item_count < 5
    assert dataset_digest(folder) == dataset_digest(made / "states")
    with pytest.raises(SwerveError, match=r"holds another job: .*options\.size was"):
        make_states(made, folder, ImageFit((36, 20)))


def test_runs_of_an_array_make_the_same_and_finish_completes_them(made, tmp_path):
    for number in (1, 2):
        with pytest.raises(ArrayPartDone, match=f"Run {number}/2 made"):
            make_states(made, tmp_path / "states", execution=Execution(1, ArrayPart(number, 2)))
    make_states(made, tmp_path / "states", execution=Execution(finish=True))
    assert dataset_digest(tmp_path / "states") == dataset_digest(made / "states")


def test_what_fails_is_listed_and_tried_again(made, tmp_path):
    copy = tmp_path / "set"
    shutil.copytree(made / "set", copy)
    shutil.copytree(made / "vlm", tmp_path / "vlm")
    shard = sorted((copy / "train").glob("*.tar"))[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:2048])
    _, result = make_states(tmp_path)
    assert [failure.log for failure in result.failures] == ["train-1"]
    assert not (tmp_path / "states" / "hidden_states.json").exists()
    assert job_status(tmp_path / "states").progress == "failed"
    shard.write_bytes(content)
    assert not make_states(tmp_path)[1].failures
    assert dataset_digest(tmp_path / "states") == dataset_digest(made / "states")
    assert job_status(tmp_path / "states").progress == "complete"


def test_other_states_than_the_network_asks_for_are_refused(made, store, config, tmp_path):
    origin = stream_of(made).batch(0).provenance[0]
    with pytest.raises(SwerveError, match="has no hidden states of its photo"):
        store.of_views([origin], [True])
    for wrong, told in (
        (replace(config, image_width=80), "at 72x40"),
        (replace(config, vlm_tokens=4), "another model"),
    ):
        size = (wrong.image_width, 40)
        stream = SampleStream(
            made / "set", StreamOptions((Part("raster_only"),), ImageFit(size), ("front",), batch_size=3)
        )
        with pytest.raises(SwerveError, match=told):
            train(stream, None, wrong, TrainingOptions(1), tmp_path, Process(0, 1, CPU), hidden=store)
    trimmed = replace(config, trim=(0.0, 0.25, 0.0, 0.0))
    fit = ImageFit((72, 40), trimmed.trim)
    stream = SampleStream(made / "set", StreamOptions((Part("raster_only"),), fit, ("front",), batch_size=3))
    with pytest.raises(SwerveError, match=r"with trim \(0.0, 0.0, .* the network has .* with trim \(0.0, 0.25, "):
        train(stream, None, trimmed, TrainingOptions(1), tmp_path, Process(0, 1, CPU), hidden=store)
    plain, process = replace(config, conditioning="pooled"), Process(0, 1, CPU)
    with pytest.raises(SwerveError, match="this network is not conditioned on them"):
        train(stream_of(made), None, plain, TrainingOptions(1), tmp_path, process, hidden=store)
    with pytest.raises(SwerveError, match=r"which needs them .*swerve hidden-states"):
        train(stream_of(made), None, config, TrainingOptions(1), tmp_path, process)
    with pytest.raises(SwerveError, match="Give --hidden-states FOLDER"):
        ChainFlowConfig.tiny(conditioning="hidden_states")


def test_the_command_and_what_it_lacks(made, tmp_path, monkeypatch):
    given = ("--vlm", made / "vlm", "--cameras", "front", "--size", "72x40", "--images", "raster", "--tokens", 3)
    out = tmp_path / "out"
    result = invoke("hidden-states", made / "set", out, *given, "--prompt", "what now")
    assert result.exit_code == 0, result.output
    assert "3 tokens of 16 for each view" in result.output
    assert dataset_digest(out) == dataset_digest(made / "states")
    result = invoke("hidden-states", made / "set", out, *given, "--prompt", "what now")
    assert "Everything was finished before" in result.output
    assert invoke("status", out).exit_code == 0
    shard = sorted((out / "train").glob("*.tar"))[0]
    shard.write_bytes(shard.read_bytes()[:-512])
    assert "bytes, its record says" in invoke("verify", out).output
    result = invoke("verify", out, "--repair")
    assert result.exit_code == 0, result
    assert dataset_digest(out) == dataset_digest(made / "states")
    result = invoke("hidden-states", made / "set", made / "set", *given)
    assert "index.arrow is not of this job" in str(result.exception)
    result = invoke("hidden-states", made / "set", tmp_path / "photos", *given, "--images", "photo")
    assert "has no photos. Make hidden states of its rasters" in str(result.exception)
    shape = ("--trim", 0, 0.25, 0, 0)
    result = invoke("hidden-states", made / "set", tmp_path / "trimmed", *given, *shape, "--layer", 9)
    assert (result.exit_code, "layer is 9, the model has 3" in result.output) == (1, True)
    # A request of which nothing was made may be corrected.
    result = invoke("hidden-states", made / "set", tmp_path / "trimmed", *given, *shape)
    assert result.exit_code == 0, result.output
    own = HiddenStateStore([tmp_path / "trimmed"], [made / "set"])
    assert own.stored.fit.trim == (0.0, 0.25, 0.0, 0.0)
    result = invoke("hidden-states", made / "set", tmp_path / "trimmed", *given)
    assert "holds another job: options.trim was" in str(result.exception)
    with pytest.raises(SwerveError, match="not a local folder of a Hugging Face model"):
        HiddenStates(tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{}")
    with pytest.raises(SwerveError, match="cannot be read as a vision-language model"):
        HiddenStates(tmp_path / "bad")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"PATH\[vlm\]"):
        require_transformers()
