"""Text files: what is wrong with one is said with its path, its line and a remedy."""

from collections.abc import Iterator, Sequence
from pathlib import Path


def fault(path: Path, place: int | str, problem: str, remedy: str) -> ValueError:
    """Return the error of a damaged file; ``place`` is a line's number, or a path within it."""
    return ValueError(f"{path}:{place}: {problem}; {remedy}")


def find_file(root: Path, candidates: Sequence[str], source: str) -> Path:
    """Return the first candidate that exists below ``root``.

    Raise FileNotFoundError with where the file is to be put and where it is to be had.
    """
    for candidate in candidates:
        if (root / candidate).is_file():
            return root / candidate
    raise FileNotFoundError(
        f"no_data: put {' or '.join(candidates)} into {root} (from {source}), "
        "or leave --data-root out for synthetic batches"
    )


def read_text(path: Path) -> str:
    """Return a file as text; raise ValueError with the line that is no UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fault(path, line, f"no UTF-8 ({error.reason})", "save it as UTF-8") from None


def table(path: Path, columns: Sequence[int], layout: str) -> Iterator[tuple[int, list[str]]]:
    r"""Yield line numbers and cells of a tab-separated file without quotes.

    ``columns`` are the numbers of cells that a line may have, ``layout`` is what they are. Only
    "\n" ends a line: sentences hold other separators that ``str.splitlines`` would cut at.
    """
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        cells = line.removesuffix("\r").split("\t")
        if len(cells) not in columns:
            problem = f"{len(cells)} columns in {line[:60]!r}"
            raise fault(path, number, problem, f"expected {layout}")
        yield number, cells
