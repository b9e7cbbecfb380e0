"""Text that is spoken: sentences, numbers in words, symbols and phonemes."""
