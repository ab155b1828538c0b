"""What a comparison gives: plain rows, which the table and the picture are made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from hpml_kernels.roofline.interleave import Times
from hpml_kernels.types import Kernel, Limit
from hpml_steps.incorrect import Incorrect

Group = Literal["one core", "all cores", "cuda"]
GROUPS: tuple[Group, ...] = get_args(Group)
Status = Literal["ok", "launch-bound", "incorrect"]
HIGHEST_RATIO = 1.3  # of a limit: arrays that lie elsewhere in memory are worth some 10 %
MOST_ROUNDS = 0.8  # in which a limit must be beaten before it counts as none
LARGEST_ISSUE_SHARE = 0.9  # beyond it the device waits for the host, whose time would be compared


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one variant reached; the numerators are what its kernel states as its work.

    ``launch-bound``: the host issues launches no faster than the device ends them, so there are no
    ratios. ``incorrect``: the variant beats its limit, so the limit or the stated work is wrong.
    """

    kernel: str
    variant: str
    group: Group
    size: int
    limit: str
    is_peer: bool
    call_ns: float
    limit_ns: float | None  # the same work at the limit
    bytes_moved: int
    flops: int
    ratio_to_limit: float | None
    best_peer: str | None
    ratio_to_best_peer: float | None  # above 1: faster than the best peer
    issue_share: float | None = None  # host's time to issue over the device's time; on CUDA
    status: Status = "ok"
    reason: str = ""


def rows_of(
    kernel: Kernel,
    size: int,
    group: Group,
    times: Mapping[str, Times],
    limits: Mapping[Limit, Times],
) -> Sequence[Row]:
    """Turn the rounds' times into a row for each variant, beside its own limit and the best peer.

    ``limits`` holds what the kernel's work takes at each limit.
    """
    best = _best_peer(kernel, times)
    return [_row(kernel, name, size, group, times, limits, best) for name in times]


def _best_peer(kernel: Kernel, times: Mapping[str, Times]) -> str | None:
    peers = [
        name
        for name, each in times.items()
        if kernel.variants[name].is_peer and not is_launch_bound(each, kernel.limit_of(name))
    ]
    return min(peers, key=lambda name: times[name].median_ns, default=None)


def _row(  # noqa: PLR0913  a variant among the others
    kernel: Kernel,
    variant: str,
    size: int,
    group: Group,
    times: Mapping[str, Times],
    limits: Mapping[Limit, Times],
    best: str | None,
) -> Row:
    limit, work = kernel.limit_of(variant), kernel.work(size)
    own, at_limit = times[variant], limits[limit]
    reason = _why_launch_bound(own, at_limit, limit)
    ratio = None if reason else _ratio(at_limit, own)
    no_peer = best is None or is_launch_bound(own, limit)
    facts: dict[str, Any] = {"status": "launch-bound", "reason": reason} if reason else {}
    # numba's launch is what the probe times on CUDA; libraries written in C launch faster.
    is_bounded = not (group == "cuda" and limit == "launch")
    if is_bounded and ratio is not None and is_beaten(at_limit, own):
        facts = {"status": "incorrect", "reason": _why_incorrect(ratio, limit)}
    return Row(
        kernel=kernel.name,
        variant=variant,
        group=group,
        size=size,
        limit=limit,
        is_peer=kernel.variants[variant].is_peer,
        call_ns=own.median_ns,
        limit_ns=None if is_launch_bound(at_limit, limit) else at_limit.median_ns,
        bytes_moved=work.bytes_moved,
        flops=work.flops,
        ratio_to_limit=ratio,
        best_peer=None if no_peer else best,
        ratio_to_best_peer=None if no_peer or best is None else _ratio(times[best], own),
        issue_share=own.issue_share,
        **facts,
    )


def _ratio(of: Times, to: Times) -> float:
    """Return the median over the rounds of the ratio of two times of one round."""
    return float(np.nanmedian(of.call_ns / to.call_ns))


def is_beaten(at_limit: Times, own: Times) -> bool:
    """Whether a limit is certainly no limit: beaten in nearly all rounds, and by the best blocks.

    The median alone would not do: a busy machine slows one side of a round by itself.
    """
    by_round = float(np.nanquantile(at_limit.call_ns / own.call_ns, 1 - MOST_ROUNDS))
    by_best = float(np.nanmin(at_limit.call_ns) / np.nanmin(own.call_ns))
    return min(by_round, by_best) > HIGHEST_RATIO


def is_launch_bound(times: Times, limit: str) -> bool:
    """Whether the host's launches take the time, where launches are not what is measured."""
    return limit != "launch" and (times.issue_share or 0.0) > LARGEST_ISSUE_SHARE


def _why_launch_bound(own: Times, at_limit: Times, limit: str) -> str:
    for name, one in (("the kernel", own), (f"the probe of {limit!r}", at_limit)):
        if is_launch_bound(one, limit):
            return f"{name} is issued in {one.issue_share:.2f} of the device's time: take more work"
    return ""


def _why_incorrect(ratio: float, limit: str) -> str:
    return (
        f"{ratio:.2f} of the limit {limit!r}, more than {HIGHEST_RATIO}: "
        "its probe is no limit, or the kernel's work is miscounted"
    )


def check_rows(rows: Sequence[Row]) -> None:
    """Raise :class:`~hpml_steps.incorrect.Incorrect` where a variant beats its limit."""
    wrong = [
        f"{row.kernel}-{row.variant}: {row.reason}" for row in rows if row.status == "incorrect"
    ]
    if wrong:
        raise Incorrect("; ".join(wrong))


def save(rows: Sequence[Row], path: Path) -> None:
    """Write rows as JSON."""
    text = json.dumps([asdict(row) for row in rows], indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> list[Row]:
    """Read rows back; raise ``ValueError`` that names the file where they are none."""
    try:
        return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no rows of kernels: {error}") from error
