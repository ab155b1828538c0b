"""What the suite adds to a step: the prepared step against a bare hand-written PyTorch loop.

Run it with ``python benchmarks/overhead.py``. Both sides are timed in one process, in blocks whose
order is drawn anew for each pair, over several fresh processes; the figure is their ratio.
"""

import os
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from math import log
from multiprocessing import get_context
from statistics import median

from ratios import told

from hpml_gate.measure.block import time_block
from hpml_gate.measure.environment import QUIET_ENVIRONMENT
from hpml_gate.protocol import FunctionStep, Step
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.step import prepare_step
from hpml_steps.axes import cases

LAUNCHES = 8
PAIRS = 60
BATCH = 16  # the tiny preset's


def bare_loop() -> Callable[[], object]:
    """Return one training step as anybody would write it, with nothing of this project."""
    import torch
    from torch.nn.functional import cross_entropy
    from torchvision.models import resnet18

    torch.set_num_threads(1)
    torch.manual_seed(42)
    model = resnet18()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    inputs, targets = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))

    def step() -> None:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        optimizer.step()

    return step


def prepared() -> Step:
    """Return the suite's own step of the same case."""
    setting = Setting(device="cpu", preset="tiny")
    (plain,) = cases(TrainingCase, setting, {"strategy": ["single"], "precision": ["fp32"]})
    return prepare_step(plain)


def log_ratio(launch: int) -> float:
    """Return the median over pairs of log(prepared / bare) in this process."""
    order = random.Random(launch)  # noqa: S311  nothing secret
    makers: list[Callable[[], Step]] = [prepared, lambda: FunctionStep(run=bare_loop())]
    # Which side gets the earlier memory alternates: it moves a step's time by a few percent.
    built = {maker: maker() for maker in (makers if launch % 2 else makers[::-1])}
    sides = [built[maker] for maker in makers]
    for side in sides:
        side.measure(time_block, 10)
    logs = []
    for _ in range(PAIRS):
        times = {
            index: sides[index].measure(time_block, 1)[0].wall_ns
            for index in order.sample([0, 1], k=2)
        }
        logs.append(log(times[0] / times[1]))
    return median(logs)


def main() -> None:
    """Print the ratio over fresh launches with its standard error."""
    os.environ.update(QUIET_ENVIRONMENT)  # as in the suite's own launches
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        logs = list(pool.map(log_ratio, range(LAUNCHES)))
    print(told("prepared step / bare loop", logs, f"{PAIRS} pairs"))  # noqa: T201  the figure


if __name__ == "__main__":
    main()
