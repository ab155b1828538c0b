"""Text as arrays: tokenizers, rows of token ids, windows of long contexts, phrases."""
