"""XLM-RoBERTa's tokenizer (A. Conneau et al., arXiv 1911.02116): its published files, in one.

Its own is SentencePiece's; where the files are not given, bytes are merged as RoBERTa does.
"""

from dataclasses import replace

from hpml_models.text import byte_bpe
from hpml_models.text.tokenizer import WHOLE

KIND = replace(byte_bpe.KIND, name="xlm-roberta-base", files=(WHOLE,), published_size=250_002)
