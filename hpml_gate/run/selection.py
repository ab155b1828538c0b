"""Which tests a run was asked for, so that one which is gone is missed where it was named."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression  # what -k is written in


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the command line names, and what its options leave out."""

    root: Path  # that node ids are relative to
    here: Path  # that the command line's paths are relative to
    arguments: Sequence[str]
    are_modules: bool = False  # --pyargs
    ignored: Sequence[str] = ()
    ignored_patterns: Sequence[str] = ()
    deselected: Sequence[str] = ()
    keywords: str = ""  # -k
    markers: str = ""  # -m
    failed_last: frozenset[str] = frozenset()  # where only these run

    @classmethod
    def of(cls, config: pytest.Config) -> "Selection":
        """Read it from pytest's options."""
        option = config.getoption
        cache = getattr(config, "cache", None)
        failed = cache.get("cache/lastfailed", {}) if cache and option("lf", default=False) else {}
        return cls(
            root=config.rootpath,
            here=config.invocation_params.dir,
            arguments=config.args,
            are_modules=option("pyargs", default=False),
            ignored=option("ignore", default=None) or (),
            ignored_patterns=option("ignore_glob", default=None) or (),
            deselected=option("deselect", default=None) or (),
            keywords=option("keyword", default=""),
            markers=option("markexpr", default=""),
            failed_last=frozenset(failed),
        )

    def asks_for(self, test: str) -> bool:
        """Whether a test, by its node id, would have run in this run if it were there."""
        return self._is_named(test) and not self.leaves_out(test)

    def leaves_out(self, test: str) -> bool:
        """Whether an option keeps a test from running. Which markers it had nobody knows."""
        path = self.root / test.partition("::")[0]
        return (
            bool(self.markers)
            or any(path.is_relative_to((self.here / one).resolve()) for one in self.ignored)
            or any(fnmatch(str(path), str(self.here / one)) for one in self.ignored_patterns)
            or test.startswith(tuple(self.deselected))
            or bool(self.failed_last and test not in self.failed_last)
            or not self._has_keywords(test)
        )

    def _is_named(self, test: str) -> bool:
        path, _, name = test.partition("::")
        return any(
            _covers(file, named, (self.root / path).resolve(), name) for file, named in self._named
        )

    @cached_property
    def _named(self) -> list[tuple[Path, str]]:
        """The file or folder, and the name in it, of each argument."""
        parted = [argument.partition("::") for argument in self.arguments]
        return [(self._file(path), name) for path, _, name in parted]

    def _file(self, argument: str) -> Path:
        path = (self.here / argument).resolve()
        if not self.are_modules or path.exists():
            return path
        try:
            spec = find_spec(argument)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is None or spec.origin is None:
            return path
        return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)

    def _has_keywords(self, test: str) -> bool:
        if not self.keywords:
            return True
        path, _, name = test.partition("::")
        names = [part.lower() for part in [*Path(path).parts[-1:], *name.split("::")]]

        def matches(word: str, /, **_: object) -> bool:
            return any(word.lower() in one for one in names)

        return Expression.compile(self.keywords).evaluate(matches)


def _covers(file: Path, name: str, path: Path, test: str) -> bool:
    """Whether what is named is the test, or a function, class, file or folder that holds it."""
    if not name:
        return path.is_relative_to(file)
    return path == file and (test == name or test.startswith((f"{name}[", f"{name}::")))
