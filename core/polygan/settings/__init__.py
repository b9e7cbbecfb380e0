"""Settings: dataclasses, their ranges, and the one parser for options, YAML and keywords."""
