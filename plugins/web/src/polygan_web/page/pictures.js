"use strict";
// Pictures: values (C, H, W) in [-1, 1] on a canvas.

polygan.medium = (() => {
  const SMALL = 128; // pixels: smaller pictures are shown with sharp pixels

  /** Draw one picture: C values a pixel are grey, colour, or colour and alpha; of other C the first is shown as grey. */
  const draw = (canvas, values, [channels, height, width]) => {
    const size = height * width;
    const image = new ImageData(width, height);
    const planes = channels === 3 || channels === 4 ? [0, 1, 2] : [0, 0, 0];
    const level = (plane, i) => Math.round((values[plane * size + i] + 1) * 127.5);
    for (let i = 0; i < size; i++) {
      planes.forEach((plane, c) => (image.data[4 * i + c] = level(plane, i)));
      image.data[4 * i + 3] = channels === 4 ? level(3, i) : 255;
    }
    canvas.width = width;
    canvas.height = height;
    canvas.classList.toggle("sharp", Math.max(height, width) < SMALL);
    canvas.getContext("2d").putImageData(image, 0, 0);
  };

  /** Values (C, H, W) in [-1, 1] of what a canvas shows: grey by ITU-R 601-2, colour, or colour and alpha. */
  const read = (canvas, channels) => {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const size = width * height;
    const values = new Float32Array(channels * size);
    for (let i = 0; i < size; i++) {
      const [red, green, blue, alpha] = data.subarray(4 * i, 4 * i + 4);
      const pixel = channels === 1 ? [Math.round(0.299 * red + 0.587 * green + 0.114 * blue)] : [red, green, blue, alpha];
      for (let c = 0; c < channels; c++) values[c * size + i] = pixel[c] / 127.5 - 1;
    }
    return values;
  };

  const save = (canvas, name) => canvas.toBlob((blob) => polygan.parts.save(blob, `${name}.png`), "image/png");

  const { shape } = polygan.model.facts;
  const pixels = shape ? shape[1] * shape[2] : 0;
  return {
    name: "picture",
    plural: "pictures",
    count: pixels > 128 * 128 ? 8 : 16,
    batch: pixels > 64 * 64 ? 1 : 8,
    draw: (canvas, values) => draw(canvas, values, shape),
    save: (canvas, _values, name) => save(canvas, name),
    saved: "Save as PNG",
    chosen: () => {},
    pixels: { draw, read, save },
  };
})();
