"""Tokenizers: published files where they are given, else trained on the text at hand.

Either way the result is one of ``tokenizers``' own, and runs without a network.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FOLDER = "tokenizers"  # below a data root; in it a folder for each kind
WHOLE = "tokenizer.json"  # a tokenizer in one file, which any kind may be given as


@dataclass(frozen=True, kw_only=True)
class TokenizerKind:
    """A way to cut text into tokens; one file each, the constant last."""

    name: str  # of its folder
    files: Sequence[str]  # that its folder holds, unless it holds tokenizer.json
    published_size: int  # tokens in the published files
    smallest_size: int  # tokens that a trained one has before it has seen any text
    load: "Callable[[Path], Tokenizer]"
    train: "Callable[[Iterable[str], int], Tokenizer]"
    pad: str
    start: str
    end: str
    unknown: str


class SpecialIds(NamedTuple):
    """The ids of control tokens."""

    pad: int
    start: int
    end: int
    unknown: int


class TextTokenizer:
    """A tokenizer whose control tokens never come from the text itself, and its special ids."""

    def __init__(self, tokenizer: "Tokenizer", kind: TokenizerKind, origin: str) -> None:
        """Look the control tokens up; raise ValueError if one is missing."""
        self.tokenizer = tokenizer
        self.origin = origin
        self.size = tokenizer.get_vocab_size()
        self.special = SpecialIds(
            *(self._id(token) for token in (kind.pad, kind.start, kind.end, kind.unknown))
        )
        # A review that says "<s>" means the three characters.
        tokenizer.encode_special_tokens = True

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer ({self.origin}) has no {token!r}: is it another kind?")
        return int(found)

    def check_fits(self, model_vocabulary: int) -> None:
        """Raise ValueError if it has more tokens than the model has embeddings."""
        if self.size > model_vocabulary:
            raise ValueError(
                f"the tokenizer ({self.origin}) has {self.size} tokens, the model's vocabulary "
                f"{model_vocabulary}: give the model at least as many, or another tokenizer"
            )


def load_tokenizer(kind: TokenizerKind, folder: Path) -> TextTokenizer:
    """Load the published files of a kind; raise FileNotFoundError with those that are missing."""
    from tokenizers import Tokenizer

    origin = str(folder)
    if (folder / WHOLE).is_file():
        return TextTokenizer(_read(Tokenizer.from_file, folder / WHOLE), kind, origin)
    missing = [name for name in kind.files if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no {' and no '.join(missing)}: put {' and '.join(kind.files)} there, "
            f"or {WHOLE}"
        )
    return TextTokenizer(_read(kind.load, folder), kind, origin)


def _read(load: "Callable[..., Tokenizer]", path: Path) -> "Tokenizer":
    try:
        return load(path if path.is_dir() else str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise ValueError(f"{path} is no whole tokenizer ({error}): download it again") from error


def train_tokenizer(kind: TokenizerKind, texts: Iterable[str], size: int) -> TextTokenizer:
    """Train a tokenizer of at most ``size`` tokens on texts; the same texts give the same one."""
    if size < kind.smallest_size:
        raise ValueError(
            f"a vocabulary of {size} is too small for {kind.name}: it needs {kind.smallest_size}"
        )
    trained = TextTokenizer(kind.train(texts, size), kind, f"{kind.name}, trained on the text")
    trained.check_fits(size)
    return trained


def open_tokenizer(
    kind: TokenizerKind, root: Path, texts: Iterable[str], model_vocabulary: int
) -> TextTokenizer:
    """Return the tokenizer for a model: published files below ``root``, else a trained one.

    The published files are for models with room for the published vocabulary; smaller models
    have one trained for them. Raise ValueError if the files hold more tokens than the model.
    """
    folder = root / FOLDER / kind.name
    if folder.is_dir() and model_vocabulary >= kind.published_size:
        loaded = load_tokenizer(kind, folder)
        loaded.check_fits(model_vocabulary)
        return loaded
    return train_tokenizer(kind, texts, model_vocabulary)
