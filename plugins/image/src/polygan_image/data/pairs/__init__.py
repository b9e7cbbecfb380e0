"""Pairs of pictures: what is given beside each picture, label maps, and the made-up set ``streets``."""
