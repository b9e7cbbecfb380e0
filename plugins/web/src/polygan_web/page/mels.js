"use strict";
// Log-mel spectrograms as pictures.

/** Draw log-mels `{mel, bands}` beside each other, low bands at the bottom; colours go from the least value to the most, or over `range`. */
polygan.drawMels = (canvas, parts, range = polygan.rangeOf(parts)) => {
  const frames = parts.map(({ mel, bands }) => mel.length / bands);
  const total = frames.reduce((sum, n) => sum + n, 0);
  const bands = parts[0].bands;
  const width = Math.min(960, total);
  const image = new ImageData(width, bands);
  const [low, high] = range;
  for (let x = 0; x < width; x++) {
    let frame = Math.floor((x * total) / width), part = 0;
    while (frame >= frames[part]) frame -= frames[part++];
    for (let band = 0; band < bands; band++) {
      const level = (parts[part].mel[band * frames[part] + frame] - low) / (high - low || 1);
      const at = 4 * ((bands - 1 - band) * width + x);
      image.data[at] = 255 * Math.min(1, 1.6 * level * level + 0.08);
      image.data[at + 1] = 255 * Math.max(0, 1.7 * level - 0.75);
      image.data[at + 2] = 255 * (0.22 + 0.5 * Math.sin(Math.PI * Math.min(1, level * 1.15)));
      image.data[at + 3] = 255;
    }
  }
  canvas.width = width;
  canvas.height = bands;
  canvas.getContext("2d").putImageData(image, 0, 0);
};

/** The least and the most value of log-mels `{mel}`. */
polygan.rangeOf = (parts) => {
  let low = Infinity, high = -Infinity;
  for (const { mel } of parts) for (const value of mel) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
};
