"use strict";
// Sounds: samples in [-1, 1], drawn as a waveform, played, and saved as WAV.

polygan.medium = (() => {
  const { facts } = polygan.model;
  const WIDE = 480, HIGH = 160;
  let context, until = 0;
  const playing = new Set();

  /** Draw the lowest and highest sample of each column. */
  const draw = (canvas, samples) => {
    canvas.width = WIDE;
    canvas.height = HIGH;
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).color;
    const y = (value) => ((1 - Math.min(1, Math.max(-1, value))) * HIGH) / 2;
    for (let x = 0; x < WIDE; x++) {
      let low = 1, high = -1;
      const end = Math.ceil(((x + 1) * samples.length) / WIDE);
      for (let i = Math.floor((x * samples.length) / WIDE); i < end; i++) {
        if (samples[i] < low) low = samples[i];
        if (samples[i] > high) high = samples[i];
      }
      pen.fillRect(x, y(high), 1, Math.max(1, y(low) - y(high)));
    }
  };

  const stop = () => {
    for (const source of playing) source.stop();
    playing.clear();
    until = 0;
  };

  /** Play after what plays, and `pause` seconds; returns when that is, in seconds of the player's clock. */
  const enqueue = (samples, pause = 0) => {
    context ??= new AudioContext();
    const sound = context.createBuffer(1, samples.length, facts.rate);
    sound.copyToChannel(samples, 0);
    const source = context.createBufferSource();
    source.buffer = sound;
    source.connect(context.destination);
    const at = Math.max(context.currentTime, until + pause);
    source.start(at);
    source.onended = () => playing.delete(source);
    playing.add(source);
    until = at + samples.length / facts.rate;
    return at;
  };

  const play = (samples) => {
    stop();
    enqueue(samples);
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
    batch: facts.mel ? 1 : 4, // a vocoder takes one after the other
    draw,
    save: (_canvas, samples, name) => polygan.parts.save(wav(samples), `${name}.wav`),
    saved: "Save as WAV",
    chosen: play,
    play,
    enqueue,
    stop,
    wav,
  };
})();
