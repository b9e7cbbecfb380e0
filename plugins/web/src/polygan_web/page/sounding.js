"use strict";
// Sounds of latents by way of log-mels: a generator makes the log-mels of a batch, and a vocoder turns one after the other into sound.

polygan.sounding = async (inputs) => {
  const { normals } = polygan.parts;
  const { bands, frames, noise } = polygan.model.facts.mel;
  const made = await polygan.engine.run(inputs, "generator");
  const beside = noise ? { noise: { type: "float32", data: normals(1, 0, noise), dims: [1, noise] } } : {}; // the same for all: a slider changes the mel alone
  let { milliseconds } = made;
  const sounds = [];
  for (let at = 0; at < made.data.length; at += bands * frames) {
    const mel = { type: "float32", data: made.data.slice(at, at + bands * frames), dims: [1, bands, frames] };
    const found = await polygan.engine.run({ mel, ...beside }, "vocoder");
    milliseconds += found.milliseconds;
    sounds.push(found.data);
  }
  const each = sounds[0].length;
  const data = new Float32Array(sounds.length * each);
  sounds.forEach((sound, i) => data.set(sound, i * each));
  return { data, dims: [sounds.length, each], milliseconds };
};
