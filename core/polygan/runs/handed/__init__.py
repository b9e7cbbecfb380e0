"""What a script hands in beside settings: networks, a class of a recipe, and data in memory."""
