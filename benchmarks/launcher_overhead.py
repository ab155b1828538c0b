"""What the suite's own world adds to a step: the same DDP training under plain ``torchrun``.

Run it with ``python benchmarks/launcher_overhead.py``. Both worlds stand at the same time and take
turns, in an order drawn anew; the figure is the ratio of the slowest ranks' times, over several
fresh launches of both.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import log
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from ratios import told

from hpml_gate.measure.block import time_block
from hpml_gate.measure.environment import QUIET_ENVIRONMENT
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.step import prepare_step
from hpml_steps.axes import cases

if TYPE_CHECKING:
    from hpml_gate.protocol import BlockTime

LAUNCHES = 6
TURNS = 40
RANKS = 2
GO, STOP = 1, 0
BATCH = 16  # the tiny preset's, over both ranks


def plain_script(socket: str) -> None:
    """Train as anybody would under ``torchrun``; rank 0 is told when, and tells how long."""
    import torch
    import torch.distributed as dist
    from torch.nn.functional import cross_entropy
    from torch.nn.parallel import DistributedDataParallel
    from torchvision.models import resnet18

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(42)
    model = DistributedDataParallel(resnet18())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    inputs, targets = torch.randn(BATCH // RANKS, 3, 32, 32), torch.randint(10, (BATCH // RANKS,))

    def step() -> None:
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        optimizer.step()

    control = Client(socket) if dist.get_rank() == 0 else None
    while _is_told_to_go_on(control):
        dist.barrier()
        start_ns = time.perf_counter_ns()
        step()
        slowest_ns = torch.tensor(time.perf_counter_ns() - start_ns)
        dist.all_reduce(slowest_ns, dist.ReduceOp.MAX)
        if control is not None:
            control.send(int(slowest_ns))
    dist.destroy_process_group()


def _is_told_to_go_on(control: Connection | None) -> bool:
    """Hand on what rank 0 is told."""
    import torch
    import torch.distributed as dist

    told = torch.tensor(int(control.recv()) if control is not None else 0)
    dist.broadcast(told, 0)
    return bool(told)


@contextmanager
def under_torchrun() -> Iterator[Connection]:
    """Start the plain script, and give what it is told by."""
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={RANKS}", "--standalone"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Listener(str(Path(folder) / "control")) as listener,
        subprocess.Popen(  # noqa: S603  this very file
            [sys.executable, *launcher, __file__, str(listener.address)]
        ) as process,
    ):
        try:
            control = listener.accept()
            yield control
            control.send(STOP)
        except BaseException:
            process.terminate()
            raise


def log_ratio(launch: int) -> float:
    """Return the median over turns of log(suite / torchrun) of one launch of both."""
    order = random.Random(launch)  # noqa: S311  nothing secret
    names = {"strategy": ["ddp"], "precision": ["fp32"]}
    setting = Setting(device="cpu", preset="tiny")
    (case,) = cases(TrainingCase, setting, {**names, "device_count": [RANKS]})
    step = prepare_step(case)

    with under_torchrun() as control:

        def suite_ns() -> int:
            blocks: Sequence[BlockTime] = step.measure(time_block, 1)
            return max(block.ns for block in blocks)

        def plain_ns() -> int:
            control.send(GO)
            took_ns: int = control.recv()
            return took_ns

        for side in (suite_ns, plain_ns) * 5:  # warm-up
            side()
        logs = []
        for _ in range(TURNS):
            times = {side: side() for side in order.sample([suite_ns, plain_ns], k=2)}
            logs.append(log(times[suite_ns] / times[plain_ns]))
    step.close()
    return median(logs)


def main() -> None:
    """Print the ratio over launches with its standard error."""
    os.environ.update(QUIET_ENVIRONMENT, OMP_NUM_THREADS="1")  # for both alike
    logs = [log_ratio(launch) for launch in range(LAUNCHES)]
    print(told("the suite's world / torchrun", logs, f"{TURNS} turns"))  # noqa: T201  the figure


if __name__ == "__main__":
    plain_script(sys.argv[1]) if len(sys.argv) > 1 else main()
