"""The parts of LeakGAN: networks, goals, rewards, sampling with completions, settings."""
