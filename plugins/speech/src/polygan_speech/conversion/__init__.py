"""Voice conversion: its networks, losses, facts of voices, and the way from recordings to converted mels."""
