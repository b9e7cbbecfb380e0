"""Models that were trained before: folders of `transformers` as policies and discriminators."""
