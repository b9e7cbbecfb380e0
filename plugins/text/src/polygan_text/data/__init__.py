"""Text as data: files, tables, tokenizers, and what is said about them before training."""
