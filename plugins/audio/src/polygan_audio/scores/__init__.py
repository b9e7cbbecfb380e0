"""How good a vocoder is: measures of two waveforms, and the metrics that compare held-out recordings."""
