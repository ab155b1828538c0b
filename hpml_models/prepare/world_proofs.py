"""What the ranks together prove: one model, one batch, the loss of one device, theory's bytes."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from hpml_models.cases import registry
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.training import TrainingCase
from hpml_models.precision import PRECISIONS
from hpml_steps.incorrect import Incorrect

LOSS_TOLERANCE = 1e-4  # relative: sums are taken in another order
VARIATIONS = 10  # how often the difference of two random passes the loss may be off

Facts = Mapping[str, Any]


def check_world(case: TrainingCase | InferenceCase, items: int, by_rank: Sequence[Facts]) -> None:
    """Raise ``Incorrect`` if what the ranks read back does not fit together."""
    if items != case.batch:
        raise Incorrect(f"the ranks work on {items} samples, not {case.batch}")
    _check_same_numbers(by_rank)
    if isinstance(case, TrainingCase):
        _check_first_loss(case, by_rank)
        _check_model_bytes(case, by_rank)
        _check_traffic(case, by_rank)


def _check_same_numbers(by_rank: Sequence[Facts]) -> None:
    """Check that ranks began with the same weights and batches, and that batches differ."""
    for fact in ("weights", "batches"):
        if any(one[fact] != by_rank[0][fact] for one in by_rank):
            raise Incorrect(f"ranks have different {fact}: {[one[fact] for one in by_rank]}")
    batches = by_rank[0]["batches"]
    if len({*batches}) < len(batches):
        raise Incorrect(f"the same batch comes twice: {batches}")


def _check_first_loss(case: TrainingCase, by_rank: Sequence[Facts]) -> None:
    """Check that ranks' terms of the first loss add up to what one device gives."""
    found, expected = sum(one["losses"][0] for one in by_rank), by_rank[0]["loss_of_one_device"]
    tolerance = max(LOSS_TOLERANCE, PRECISIONS[case.precision].output_tolerance)
    allowed = tolerance * abs(expected) + VARIATIONS * by_rank[0]["loss_varies_by"]
    if not abs(found - expected) <= allowed:
        raise Incorrect(f"the ranks' first loss is {found}, one device's {expected}")


def _check_model_bytes(case: TrainingCase, by_rank: Sequence[Facts]) -> None:
    """Check that ranks hold, on average, what the strategy's paper says."""
    theory = by_rank[0]["model_bytes_in_theory"]
    strategy = registry.strategies()[case.strategy]
    if theory is not None and "parameter_bytes" in by_rank[0]:
        measured = mean(one["parameter_bytes"] + one["optimizer_bytes"] for one in by_rank)
        if abs(measured - theory) > strategy.padding * theory:
            raise Incorrect(
                f"{case.strategy} holds {measured:.0f} bytes of parameters and optimizer state on "
                f"a rank, {theory:.0f} in theory"
            )


def _check_traffic(case: TrainingCase, by_rank: Sequence[Facts]) -> None:
    """Check that ranks send, on average, what the strategy's paper says."""
    theory = by_rank[0]["traffic_in_theory"]
    strategy = registry.strategies()[case.strategy]
    if theory is not None:
        measured = mean(sum(one["sent_bytes"].values()) for one in by_rank)
        least = strategy.least_traffic(case) * theory * (1 - strategy.padding)
        if not least <= measured <= theory * (1 + strategy.padding):
            raise Incorrect(
                f"{case.strategy} gives {measured:.0f} bytes to collectives in a step, "
                f"{theory:.0f} in theory"
            )
