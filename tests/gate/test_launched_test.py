"""A test in its launch, run in this process: what it says to the controller, and what it leaves."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hpml_gate.launched_test import LaunchedTest
from hpml_gate.measure.block import Plan
from hpml_gate.measure.worker import Conversation, Workbench

SUITE = """
import pytest

class Query:
    def __init__(self, size):
        self.size = size

def test_call(benchmark):
    assert benchmark(sum, [1, 2]) == 3
    assert benchmark.stats["rounds"] == 2
    benchmark.extra_info["size"] = 2

@pytest.mark.parametrize("query", [Query(7)])
class TestMethods:
    def test_decorated(self, benchmark, query):
        @benchmark
        def seven():
            return query.size
        assert seven == 7

def test_rounds(benchmark):
    log = []
    def setup():
        log.append("set up")
        return (log,), {}
    result = benchmark.pedantic(
        lambda own: own.append("call") or len(own), setup=setup,
        teardown=lambda own: own.append("torn down"), rounds=3)
    assert log == ["set up", "call", "torn down"] * (len(log) // 3)
    assert result == len(log) - 1

def test_coroutine(benchmark):
    async def work():
        pass
    benchmark(work)

def test_generator(benchmark):
    benchmark(lambda: (number for number in range(3)))

def test_skipped_while_timed(benchmark):
    benchmark(lambda: pytest.skip("not here"))

def test_expected_to_raise(benchmark):
    with pytest.raises(ZeroDivisionError):
        benchmark(lambda: 1 / 0)

@pytest.fixture
def dynamic(request):
    return request.getfixturevalue("benchmark")

def test_fails_after(dynamic):
    dynamic(len, "")
    assert not "a wrong result"

def test_twice(benchmark):
    benchmark(len, "")
    benchmark(len, "")

def test_unmeasured(benchmark):
    pass
"""
QUICK = Plan(block_ns=1, warmup_steps=2, warmup_ns=0)
TIMING = [("warm_up", QUICK), ("time", 1), ("time", 1), ("facts",), ("finish",)]


@dataclass
class Controller:
    """Asks what it is told to ask, then hangs up; keeps what it is sent."""

    requests: deque[tuple[Any, ...]] = field(
        default_factory=lambda: deque([("greet",), ("prepare",), *TIMING])
    )
    answers: list[tuple[str, Any]] = field(default_factory=list)

    def recv(self) -> tuple[Any, ...]:
        if not self.requests:
            raise EOFError
        return self.requests.popleft()

    def send(self, obj: tuple[str, Any]) -> None:
        self.answers.append(obj)


@dataclass(frozen=True)
class Left:
    """What a launch left: its end, and the answers before."""

    ended: dict[str, Any]
    answers: list[tuple[str, Any]]

    @property
    def outcomes(self) -> list[str]:
        return [report["outcome"] for report in self.ended["reports"]]


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    file = tmp_path / "test_timed.py"
    file.write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> Left:
        controller = Controller()
        launched = LaunchedTest(controller, file, name)
        quiet = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "default"]
        status = pytest.main([*quiet, *arguments], plugins=[launched])
        return Left(launched.ended(int(status)), controller.answers)

    return run


METHOD = "TestMethods::test_decorated[query0]"


@pytest.mark.parametrize("name", ["test_call", METHOD, "test_rounds"])
def test_a_test_stands_at_its_call_then_ends_as_any_test(launch: Any, name: str) -> None:
    left = launch(name)
    assert left.ended["status"] == "measured", left.ended
    assert [kind for kind, _ in left.answers] == ["answer"] * 6
    assert left.outcomes == ["passed"] * 3


def test_what_a_test_tells_the_fixture_travels_back(launch: Any) -> None:
    assert launch("test_call").ended["extra_info"] == {"size": 2}


def test_parameters_are_described_by_their_content(launch: Any) -> None:
    facts = launch(METHOD).answers[-1][1]
    assert facts.parameters == "dict('query': Query(size=7))"


@pytest.mark.parametrize(
    ("name", "says"), [("test_coroutine", "awaits"), ("test_generator", "iterates over")]
)
def test_a_call_that_does_no_work_says_so(launch: Any, name: str, says: str) -> None:
    assert says in launch(name).answers[-1][1].unjudged


def test_what_a_call_raises_is_the_tests_own(launch: Any) -> None:
    skipped = launch("test_skipped_while_timed")
    assert skipped.answers[-1][1]["status"] == "skipped"
    assert skipped.outcomes == ["passed", "skipped", "passed"]
    raised = launch("test_expected_to_raise")
    assert raised.answers[-1][0] == "raised"
    assert raised.outcomes == ["passed"] * 3


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("test_fails_after", "failed", "assert not"),
        ("test_twice", "failed", "can only be used once"),
        ("test_unmeasured", "unmeasured", "timed nothing"),
        ("test_of_another_version", "lacking", "has no test test_of_another_version"),
    ],
)
def test_a_test_that_measured_nothing_sound_says_why(
    launch: Any, name: str, status: str, says: str
) -> None:
    ended = launch(name).ended
    assert ended["status"] == status
    assert says in str(ended)


def test_neither_options_nor_deselection_of_the_run_reach_a_launch(
    launch: Any, tmp_path: Path
) -> None:
    options = ["--junit-xml=report.xml", "--benchmark-json=times.json", "-k", "nothing"]
    assert launch("test_call", *options).ended["status"] == "measured"
    assert not (tmp_path / "report.xml").exists()
    assert not (tmp_path / "times.json").exists()


def test_a_controller_that_hangs_up_lets_the_test_be_torn_down(launch: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("test_launched_test.TIMING", [("warm_up", QUICK)])
        left = launch("test_call")
    assert left.ended["status"] == "unmeasured"
    assert [kind for kind, _ in left.answers] == ["answer"] * 3


def test_a_step_that_closes_the_line_ends_its_launch() -> None:
    """A read of a closed file is an OSError: answering on would go round for ever."""

    class Closed:
        def recv(self) -> tuple[object, ...]:
            raise OSError

        def send(self, obj: object) -> None:
            raise OSError(obj)

    with pytest.raises(EOFError):
        Conversation(Closed(), Workbench(b"")).answer_until()
