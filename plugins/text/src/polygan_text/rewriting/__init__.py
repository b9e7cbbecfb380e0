"""Networks, rewards and generation of text/seq2seq, which writes a text for each source."""
