"use strict";
// Sounds: samples in [-1, 1], drawn as a waveform, played, and saved as WAV.

polygan.medium = (() => {
  const { facts } = polygan.model;
  const WIDE = 480, HIGH = 160;
  let context, playing;

  /** Draw the lowest and highest sample of each column. */
  const draw = (canvas, samples) => {
    canvas.width = WIDE;
    canvas.height = HIGH;
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).color;
    const y = (value) => ((1 - Math.min(1, Math.max(-1, value))) * HIGH) / 2;
    for (let x = 0; x < WIDE; x++) {
      const part = samples.subarray(Math.floor((x * samples.length) / WIDE), Math.ceil(((x + 1) * samples.length) / WIDE));
      const [low, high] = part.reduce(([a, b], s) => [Math.min(a, s), Math.max(b, s)], [1, -1]);
      pen.fillRect(x, y(high), 1, Math.max(1, y(low) - y(high)));
    }
  };

  const stop = () => {
    playing?.stop();
    playing = undefined;
  };

  const play = (samples) => {
    stop();
    context ??= new AudioContext();
    const sound = context.createBuffer(1, samples.length, facts.rate);
    sound.copyToChannel(samples, 0);
    playing = context.createBufferSource();
    playing.buffer = sound;
    playing.connect(context.destination);
    playing.start();
  };

  /** A WAV file of 16 bits. */
  const wav = (samples) => {
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
    text(0, "RIFF");
    view.setUint32(4, 36 + 2 * samples.length, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true); // plain samples
    view.setUint16(22, 1, true); // of one channel
    view.setUint32(24, facts.rate, true);
    view.setUint32(28, 2 * facts.rate, true);
    view.setUint16(32, 2, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, 2 * samples.length, true);
    samples.forEach((s, i) => view.setInt16(44 + 2 * i, Math.round(Math.min(1, Math.max(-1, s)) * 32767), true));
    return new Blob([view], { type: "audio/wav" });
  };

  return {
    name: "sound",
    plural: "sounds",
    count: 12,
    batch: 4,
    draw,
    save: (_canvas, samples, name) => polygan.parts.save(wav(samples), `${name}.wav`),
    saved: "Save as WAV",
    chosen: play,
    play,
    wav,
  };
})();
