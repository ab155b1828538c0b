"""What the tests share: how hypothesis runs, scripted suites, standing worlds of ranks."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkouts import Paired, make_checkout
from hypothesis import Phase, settings
from scripted import SPEED, SUITE, Run, RunSuite

from hpml_models.worlds.local import LocalWorld
from hpml_models.worlds.world import World

# No deadline: ranks share two cores with other tests. No explain phase: it repeats failures that
# may each be a hang. Derandomized in CI: what is green stays green.
settings.register_profile(
    "hpml",
    deadline=None,
    derandomize="CI" in os.environ,
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.load_profile("hpml")


@pytest.fixture(scope="session", autouse=True)
def _can_be_interrupted() -> None:
    """Let processes that tests start feel Ctrl-C, though a shell's background jobs ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_worker() -> Iterator[None]:
    """Let the pytest processes that tests start be no workers of this one's pytest-xdist."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
            patch.delenv(name)
        yield


@pytest.fixture
def run_suite(tmp_path: Path) -> RunSuite:
    """Give runs over a suite that is not ours, in a folder where importing torch is an error."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "speed.py").write_text(SPEED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "torch.py").write_text("raise ImportError('the gate imported torch')")
    return lambda *arguments, **environment: Run(tmp_path, *arguments, **environment)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose only commit holds the scripted suite."""
    return make_checkout(tmp_path / "checkout")


@pytest.fixture
def paired(checkout: Path, tmp_path: Path) -> Paired:
    """Give paired runs over the checkout; worktrees are made where the test can see them."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def run(*arguments: str, **environment: str) -> Run:
        return Run(
            checkout,
            "--gate=paired",
            "--gate-budget=0.3",
            *arguments,
            TMPDIR=str(temporary),
            HANGING=str(tmp_path / "hanging"),
            **environment,
        )

    return run


MOST_USES = 100  # of a standing world


@pytest.fixture(scope="module")
def worlds() -> Iterator[Callable[[int], World]]:
    """Return the standing world of a size; a new one where a failure closed the last.

    DeepSpeed never closes the process groups of an engine, and each has threads that poll: a world
    that stood for a whole run had hundreds of them. So worlds end with their module, and after
    some uses.
    """
    standing: dict[int, World] = {}
    uses: Counter[int] = Counter()

    def world_of(size: int) -> World:
        uses[size] += 1
        if size in standing and uses[size] % MOST_USES == 0:
            standing[size].close()
        if size not in standing or not standing[size].is_open:
            standing[size] = LocalWorld(size, timeout_s=180)  # DeepSpeed may have to build first
        return standing[size]

    yield world_of
    for world in standing.values():
        world.close()
