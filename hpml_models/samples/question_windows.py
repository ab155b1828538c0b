"""Questions on contexts as windows of token ids. B samples, T tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hpml_models.samples.base import Key, Samples
from hpml_models.text.rows import Ints, pad
from hpml_models.text.windows import Asked, make_windows
from hpml_models.types import Batch

if TYPE_CHECKING:
    from hpml_models.text.tokenizer import TextTokenizer


@dataclass(frozen=True, kw_only=True)
class QuestionSet:
    """Questions, all texts that answer each by its id, and what was found while reading them."""

    asked: Sequence[Asked]
    golds: Mapping[str, Sequence[str]]
    facts: Mapping[str, Any]


class Window(NamedTuple):
    """Token ids, the first of the context, and the answer's first and last token."""

    ids: Ints
    context: int
    answer: tuple[int, int]


class QuestionSamples(Samples[Window]):
    """The windows of some questions, each ``length`` tokens long at most."""

    def __init__(
        self,
        questions: QuestionSet,
        tokenizer: "TextTokenizer",
        *,
        length: int,
        stride: int,
    ) -> None:
        """Cut the contexts into windows that overlap by ``stride`` tokens."""
        self.asked = asked = questions.asked
        self.golds = questions.golds
        self.windows = make_windows(tokenizer, asked, length=length, stride=stride)
        self.tokenizer, self._length = tokenizer, length
        self.facts: Mapping[str, Any] = {
            **questions.facts,
            **asdict(self.windows.counts),
            "tokenizer": tokenizer.origin,
            "vocabulary": tokenizer.size,
        }

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.windows)

    def __getitem__(self, key: Key) -> Window:
        """Return a window."""
        windows, index = self.windows, key.row
        first, last = windows.answer_N2[index].tolist()
        return Window(windows.ids[index], int(windows.context_N2[index, 0]), (first, last))

    @property
    def sizes(self) -> Sequence[int]:
        """The tokens of each window."""
        sizes: list[int] = self.windows.ids.sizes.tolist()
        return sizes

    def collate(self, rows: Sequence[Window]) -> Batch:
        """Return ``[B, T]`` ids and mask, and positions ``[B]``; an unanswerable one has 0 and 0.

        Where the tokenizer tells question and context apart, ``token_type_ids`` ``[B, T]`` too.
        """
        import torch

        sizes_B1 = torch.tensor([[len(row.ids)] for row in rows])
        places_T = torch.arange(self._length)
        mask_BT = places_T < sizes_B1
        ids_BT = pad([row.ids for row in rows], self.tokenizer.special.pad, self._length)
        inputs = {
            "input_ids": torch.from_numpy(ids_BT),
            "attention_mask": mask_BT.long(),
        }
        if self.windows.has_types:
            contexts_B1 = torch.tensor([[row.context] for row in rows])
            inputs["token_type_ids"] = (mask_BT & (places_T >= contexts_B1)).long()
        answers_B2 = torch.tensor([row.answer for row in rows])
        targets = {"start_positions": answers_B2[:, 0], "end_positions": answers_B2[:, 1]}
        return Batch(inputs=inputs, targets=targets)
