import numpy as np
import pytest

from swerve.eval import build_context, score, score_tensor
from swerve.scenes import Scene
from tests.support.simple_log import simple_log

torch = pytest.importorskip("torch", reason="torch is an extra")


def test_tensors_score_as_arrays_do():
    contexts = [build_context(Scene(simple_log(), now, 15, 50)) for now in (40, 70)]
    plans = np.random.default_rng(0).normal(size=(2, 6, 8, 3)) * [3, 1, 0.1] + [10, 0, 0]
    for kind in (torch.float64, torch.float32):
        tensor = torch.tensor(plans, dtype=kind, requires_grad=True)
        scores = score_tensor(contexts, tensor, threads=2, progress_reference="batch")
        assert scores.metrics.shape == (2, 6, 8)
        assert scores.pdm_score.dtype == kind
        assert not scores.pdm_score.requires_grad
        for row, context in enumerate(contexts):
            known = score(context, tensor[row].detach().double().numpy(), progress_reference="batch")
            np.testing.assert_allclose(scores.metrics[row].numpy(), known.metrics, atol=1e-6)
            np.testing.assert_allclose(scores.pdm_score[row].numpy(), known.pdm_score, atol=1e-6)


def test_a_batch_needs_one_context_each():
    with pytest.raises(ValueError, match="0 contexts need"):
        score_tensor([], torch.zeros(2, 3, 8, 3))
