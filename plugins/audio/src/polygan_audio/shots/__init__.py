"""What short sounds need beside networks: names of notes, pitch, and augmentation before a discriminator."""
