"use strict";
// Recordings of files and of the microphone: one channel of samples at the network's rate. What cannot be taken is an error of one line.

polygan.listening = (() => {
  const { facts } = polygan.model;
  const LONGEST = 30; // seconds that are taken
  const MOST_BYTES = 50_000_000; // of a file that are decoded: a browser holds all of its samples at once
  const CANCELLED = 0.2; // as in Python: share of the energy that the mean of unlike channels has
  const SILENT = 1e-4; // peak, -80 dB of full scale

  /** The mean of all channels; the loudest where they cancel each other out. */
  const mono = (sound) => {
    const channels = [...Array(sound.numberOfChannels).keys()].map((i) => sound.getChannelData(i));
    if (channels.length === 1) return channels[0];
    const mean = new Float32Array(sound.length);
    for (const channel of channels) channel.forEach((x, i) => (mean[i] += x / channels.length));
    const energy = (samples) => samples.reduce((sum, x) => sum + x * x, 0);
    const energies = channels.map(energy);
    const all = energies.reduce((sum, x) => sum + x, 0);
    const cancelled = all > 0 && energy(mean) <= (CANCELLED * all) / channels.length ** 2;
    return cancelled ? channels[energies.indexOf(Math.max(...energies))] : mean;
  };

  const decode = async (file, name) => {
    try {
      // A context resamples what it decodes to its own rate.
      return await new OfflineAudioContext(1, 1, facts.rate).decodeAudioData(await file.slice(0, MOST_BYTES).arrayBuffer());
    } catch (error) {
      if (error.name === "NotSupportedError") throw new Error(`This browser makes no sound of ${facts.rate.toLocaleString()} Hz.`);
      const large = file.size > MOST_BYTES;
      throw new Error(large ? `${name} is too large for this browser: cut it to the first ${LONGEST} s.` : `${name} is no sound that this browser can read.`);
    }
  };

  /** `samples` of a file, at least `facts.least` and at most 30 s of them, and its length in `seconds`. */
  const read = async (file, name = file.name) => {
    if (!file.size) throw new Error(`${name} is empty.`);
    const sound = await decode(file, name);
    const samples = mono(sound).slice(0, LONGEST * facts.rate);
    let peak = 0;
    for (const x of samples) {
      if (!Number.isFinite(x)) throw new Error(`${name} holds samples that are no numbers.`);
      peak = Math.max(peak, Math.abs(x));
    }
    if (peak < SILENT) throw new Error(`${name} is silent.`);
    if (peak > 1) samples.forEach((x, i) => (samples[i] = x / peak)); // floats beyond full scale
    const padded = new Float32Array(Math.max(samples.length, facts.least));
    padded.set(samples);
    return { samples: padded, seconds: sound.duration, name };
  };

  /** Begin to record: `{stop, finished}`, which becomes a file after `stop()` or 30 s. `ontime(seconds)` is called while it goes on. */
  const record = async (ontime) => {
    if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === "undefined") {
      throw new Error("This browser hands out the microphone to pages from https and from a disk alone: open a file.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
    } catch (error) {
      throw new Error(error.name === "NotFoundError" ? "There is no microphone: open a file."
        : "The microphone was refused: allow it beside the browser's address line, or open a file.");
    }
    const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 192_000 });
    const pieces = [], begun = performance.now();
    const stop = () => recorder.state !== "inactive" && recorder.stop();
    const timer = setInterval(() => {
      const seconds = (performance.now() - begun) / 1000;
      ontime(seconds);
      if (seconds >= LONGEST) stop();
    }, 100);
    const finished = new Promise((resolve, reject) => {
      recorder.ondataavailable = ({ data }) => pieces.push(data);
      recorder.onerror = () => reject(new Error("The microphone stopped."));
      recorder.onstop = () => resolve(new Blob(pieces, { type: recorder.mimeType }));
    }).finally(() => {
      clearInterval(timer);
      for (const track of stream.getTracks()) track.stop();
    });
    recorder.start();
    return { stop, finished };
  };

  return { read, record, longest: LONGEST };
})();
