"""Scores of text: words whatever the tokenizer, standard errors, sentence embeddings, ROUGE and novelty."""
