"""A case becomes a prepared step: built, checked against its reference, ready to be timed."""

from hpml_models.cases import registry
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.inference import inference_step
from hpml_models.prepare.training import training_step
from hpml_models.prepare.world_proofs import check_world
from hpml_models.prepare.world_step import WorldStep
from hpml_models.types import Rank
from hpml_models.worlds.local import LocalWorld, device_of
from hpml_models.worlds.placed import PlacedWorld, RankHosts
from hpml_models.worlds.world import World
from hpml_steps.local_step import LocalStep
from hpml_steps.out_of_memory import out_of_memory_named


def prepare_step(case: TrainingCase | InferenceCase) -> LocalStep | WorldStep:
    """Build the case and prove that each of its variants took effect.

    Starts a world of ranks where the strategy needs one. Raises
    :class:`~hpml_steps.incorrect.Incorrect` if a variant changed nothing or gives a wrong result.
    """
    if isinstance(case, TrainingCase) and registry.strategies()[case.strategy].needs_world:
        step = WorldStep(_world_of(case), prepare_on_rank, case)
        try:
            check_world(case, step.items_per_step, step.by_rank)
        except BaseException:
            step.close()
            raise
        return step
    alone = prepare_on_rank(rank_of_one(case), case)
    check_world(case, alone.items_per_step, [alone.effective])
    return alone


def _world_of(case: TrainingCase) -> World:
    """Start the case's ranks: here, or where a launcher has placed them."""
    if case.nodes:
        return PlacedWorld(RankHosts.published(), case.device)
    return LocalWorld(case.device_count, case.device)


def rank_of_one(case: TrainingCase | InferenceCase) -> Rank:
    """Return the rank of a process that is no part of a world."""
    return Rank(index=0, world_size=1, device=device_of(case.device, 0), kept={})


def prepare_on_rank(rank: Rank, case: TrainingCase | InferenceCase) -> LocalStep:
    """Prepare this rank's part of the case."""
    set_up_numerics()
    with out_of_memory_named():
        if isinstance(case, TrainingCase):
            return training_step(rank, case)
        return inference_step(rank, case)


def set_up_numerics() -> None:
    """State what timing runs use: one CPU thread per rank, TF32 off, cuDNN free to choose."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
