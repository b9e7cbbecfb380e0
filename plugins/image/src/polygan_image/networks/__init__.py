"""The networks of the recipes, a file an architecture, with the layers and the augmentation that they share."""
