"""Figures over a whole run: convergence, time to accuracy, statistical efficiency, decoding."""

import json
from itertools import pairwise
from math import nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpml_models.quality.convergence import converged, smoothed
from hpml_models.quality.decoding import greedy
from hpml_models.quality.efficiency import (
    GradientNorms,
    goodput,
    noise_scale,
    progress_per_sample,
    seed_efficiency,
    statistical_efficiency,
)
from hpml_models.quality.mllog import PREFIX, mllog_lines
from hpml_models.quality.time_to_accuracy import (
    Evaluation,
    Run,
    compare_epochs,
    time_to_accuracy,
)
from hpml_models.text.tokenizer import SpecialIds


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([3.0, 2.0, 1.0, 1.0, 1.0], 5),
        ([1.0, 1.0, 1.0], 1),
        ([4.0, 1.0, 1.0, 1.0, 1.009, 1.0, 3.0], 4),
        ([2.0, 0.1, 2.0, 2.0], 2),  # smoothed: 2, 1.05, 1.37, 1.37
        ([0.0, 0.0], 1),
    ],
)
def test_a_run_has_converged_within_one_per_cent_of_its_best(
    losses: list[float], epoch: int
) -> None:
    found = converged(losses)
    assert found.epoch == epoch
    assert found.is_still_falling == (found.best_loss == smoothed(losses)[-1])


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12))
def test_no_earlier_epoch_is_as_near_to_the_best(losses: list[float]) -> None:
    found = converged(losses)
    curve = smoothed(losses)
    assert curve[found.epoch - 1] <= found.best_loss * 1.01
    assert all(loss > found.best_loss * 1.01 for loss in curve[: found.epoch - 1])


def test_a_run_that_diverged_has_not_converged() -> None:
    with pytest.raises(ValueError, match="validation loss nan in epoch 2: the run diverged"):
        converged([1.0, nan])
    with pytest.raises(ValueError, match="no epoch was validated"):
        converged([])


def run_of(seed: int, *qualities: float, seconds: float = 10.0) -> Run:
    return Run(
        seed=seed,
        batch=32,
        evaluations=[
            Evaluation(epoch, epoch * seconds, epoch * 640, quality)
            for epoch, quality in enumerate(qualities, 1)
        ],
    )


def reaching(seed: int, epoch: int) -> Run:
    return run_of(seed, *[0.1] * (epoch - 1), 0.9, 0.95)


def test_the_fastest_and_the_slowest_run_are_left_out() -> None:
    score = time_to_accuracy([reaching(seed, at) for seed, at in enumerate([9, 2, 3, 4, 1])], 0.9)
    assert (score.seconds, score.epochs, score.unconverged, score.runs) == (30, 3, 0, 5)


def test_a_run_that_never_gets_there_is_the_slowest_and_two_are_none() -> None:
    runs = [reaching(seed, at) for seed, at in enumerate([1, 2, 4])]
    score = time_to_accuracy([*runs, run_of(3, 0.1, 0.89)], 0.9)
    assert (score.epochs, score.unconverged) == (3, 1)
    score = time_to_accuracy([*runs, run_of(3, 0.1), run_of(4, nan)], 0.9)
    assert (score.epochs, score.unconverged) == (None, 2)
    assert "2 of 5 runs did not reach the target" in score.reason
    assert "2 runs: 3 are needed" in time_to_accuracy(runs[:2], 0.9).reason
    with pytest.raises(ValueError, match=r"seeds \[0, 0\] repeat"):
        time_to_accuracy([runs[0], runs[0]], 0.9)


@pytest.mark.parametrize(
    ("epochs", "is_finding"),
    [([5, 6, 5, 6, 5], False), ([9, 10, 9, 10, 9], True), ([1, 2, 1, 2, 1], True)],
)
def test_converging_otherwise_than_one_device_is_a_finding(
    epochs: list[int], *, is_finding: bool
) -> None:
    reference = [reaching(seed, at) for seed, at in enumerate([5, 6, 5, 5, 6])]
    runs = [reaching(seed, at) for seed, at in enumerate(epochs)]
    assert bool(compare_epochs(runs, reference, 0.9).finding) == is_finding
    same = compare_epochs(runs, runs, 0.9)
    assert (same.ratio, same.finding) == (1, "")


def test_runs_that_fail_where_the_reference_does_not_are_a_finding() -> None:
    reference = [reaching(seed, 5) for seed in range(4)]
    found = compare_epochs([*reference[:3], run_of(9, 0.1)], reference, 0.9)
    assert found.finding == "1 runs did not reach the target, all reference runs did"
    slower = compare_epochs([reaching(seed, 6) for seed in range(4)], reference, 0.9)
    assert slower.p_value == 0, "no spread at all, and another epoch"
    with pytest.raises(ValueError, match="0 and 4 runs reached"):
        compare_epochs([run_of(0, 0.1)], reference, 0.9)


def test_mlperf_lines_stop_at_the_target() -> None:
    def entries(run: Run) -> list[dict[str, object]]:
        lines = mllog_lines(run, benchmark="sst2", target=0.9, started_ms=1_000)
        return [json.loads(line.removeprefix(PREFIX)) for line in lines]

    found = entries(reaching(7, 2))
    by_key = {str(one["key"]): one for one in found}
    assert by_key["seed"]["value"] == 7
    assert (by_key["run_start"]["event_type"], by_key["run_stop"]["event_type"]) == (
        "INTERVAL_START",
        "INTERVAL_END",
    )
    assert by_key["run_stop"]["time_ms"] == 21_000
    accuracies = [one["value"] for one in found if one["key"] == "eval_accuracy"]
    assert accuracies == [0.1, 0.9]
    assert by_key["eval_accuracy"]["metadata"]["samples_count"] == 1280  # type: ignore[index]
    assert by_key["run_stop"]["metadata"]["status"] == "success"  # type: ignore[index]
    assert entries(run_of(7, 0.1))[-1]["metadata"]["status"] == "aborted"  # type: ignore[index]
    times = [int(str(one["time_ms"])) for one in found]
    assert all(before <= after for before, after in pairwise(times))


def norms(gradients_SPD: np.ndarray) -> list[GradientNorms]:
    """Return the norms of S steps with P parts each."""
    return [
        GradientNorms([float(part @ part) for part in step], float(step.mean(0) @ step.mean(0)))
        for step in gradients_SPD
    ]


def test_the_noise_scale_of_known_gradients_is_found() -> None:
    generator = np.random.default_rng(3)
    samples = generator.normal(1.0, 2.0, size=(600, 4, 16, 50))  # steps, parts, samples, width
    found = noise_scale(norms(samples.mean(axis=2)), part_samples=16)
    assert found.samples == pytest.approx(4.0, rel=0.05)  # trace of the covariance over |g|^2


def test_the_noise_scale_is_the_same_however_the_samples_are_cut() -> None:
    samples = np.random.default_rng(4).normal(0.5, 1.0, size=(400, 8, 4, 10))
    fine = noise_scale(norms(samples.mean(axis=2)), part_samples=4)
    coarse = noise_scale(norms(samples.reshape(400, 2, 16, 10).mean(axis=2)), part_samples=16)
    assert fine.samples is not None
    assert coarse.samples == pytest.approx(fine.samples, rel=0.1)


def test_too_few_steps_or_pure_noise_have_no_noise_scale() -> None:
    steps = norms(np.ones((399, 2, 3)))
    assert "399 steps: 400 are needed" in noise_scale(steps, part_samples=4).reason
    opposite = norms(np.array([[[1.0], [-1.0]]] * 400))
    found = noise_scale(opposite, part_samples=4)
    assert (found.samples, found.reason) == (None, "the gradient is smaller than its noise")
    assert noise_scale(norms(np.ones((400, 2, 3))), part_samples=4).samples == 0
    with pytest.raises(ValueError, match="two parts or more"):
        noise_scale([GradientNorms([1.0], 1.0)], part_samples=4, enough=1)


def test_a_sample_of_a_larger_batch_is_worth_less() -> None:
    assert statistical_efficiency(116, 64, 16) == pytest.approx(0.733, abs=1e-3)
    assert statistical_efficiency(116, 16, 16) == 1
    assert goodput(200.0, 116, 64, 16) == pytest.approx(146.7, abs=0.1)


def test_the_seeds_efficiency_reads_noise_for_a_frozen_model() -> None:
    """The change of loss per sample is that of the batches: 1.9e-3 at 16, about B^-1.5."""
    losses_S = np.random.default_rng(5).exponential(size=(2000, 64))
    at_16 = seed_efficiency(losses_S[:, :16].mean(axis=1).tolist(), 16)
    at_64 = seed_efficiency(losses_S.mean(axis=1).tolist(), 64)
    assert at_16 > 1e-3, "nothing was trained"
    assert at_16 / at_64 == pytest.approx(8, rel=0.1)
    assert progress_per_sample(0.7, 0.7, 32_000) == 0
    with pytest.raises(ValueError, match="1 losses have no change"):
        seed_efficiency([1.0], 16)


SPECIAL = SpecialIds(pad=0, start=1, end=2, unknown=3)


def test_decoding_follows_the_likeliest_token_and_pads_after_the_end() -> None:
    script = torch.tensor([[5, 6, 2, 9, 9], [7, 2, 9, 9, 9], [4, 4, 4, 4, 4]])
    shown: list[list[list[int]]] = []

    def scores_of(tokens: torch.Tensor) -> torch.Tensor:
        shown.append(tokens.tolist())
        return torch.nn.functional.one_hot(script[:, : tokens.shape[1]], 10).float()

    found = greedy(scores_of, SPECIAL, batch=3, length=4)
    assert found.tolist() == [[5, 6, 2, 0], [7, 2, 0, 0], [4, 4, 4, 4]]
    assert shown[0] == [[1], [1], [1]]
    assert shown[3] == [[1, 5, 6, 2], [1, 7, 2, 0], [1, 4, 4, 4]]
    assert greedy(scores_of, SPECIAL, batch=3, length=9)[:, :2].tolist() == [[5, 6], [7, 2], [4, 4]]


def test_decoding_stops_when_all_have_ended() -> None:
    def scores_of(tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.full_like(tokens, 2), 4).float()

    assert greedy(scores_of, SPECIAL, batch=2, length=50).tolist() == [[2], [2]]
