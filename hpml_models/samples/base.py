"""What an opened data set is: samples by index and epoch, and how they become a batch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from hpml_models.types import Batch

Sample = TypeVar("Sample")


class Key(NamedTuple):
    """A sample as it is in an epoch: what is random about it depends on nothing else."""

    row: int
    epoch: int = 0


class Samples(ABC, Generic[Sample]):
    """A torch Dataset: each sample by its key, and a batch of several.

    A sample is the same in any worker process and at any time. ``facts`` say what was made of the
    files: tokenizer, rows that were cut, questions without an answer.
    """

    facts: Mapping[str, Any]

    @abstractmethod
    def __len__(self) -> int:
        """Count the samples of one epoch."""

    @abstractmethod
    def __getitem__(self, key: Key) -> Sample:
        """Read one sample."""

    @abstractmethod
    def collate(self, rows: Sequence[Sample]) -> Batch:
        """Make a batch of samples."""

    @property
    def sizes(self) -> Sequence[int] | None:
        """How long each sample is; None: all are of one size, or it is not known."""
        return None
