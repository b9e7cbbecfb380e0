"""On which scale given mels are: compared with the mels of their recordings, or judged by their values alone."""
