"use strict";
// A page that takes a recording, and makes its sound anew: by way of its mel alone, or in another voice.

polygan.begin = async () => {
  const { el, button, chooser, normals, status } = polygan.parts;
  const { facts } = polygan.model;
  const { medium, listening } = polygan;
  const converts = facts.speakers.length > 0;
  const KEPT = converts ? 512 : Math.min(512, Math.max(128, 4 * facts.context)); // frames of a piece; voices are known by their first one
  const FEW = 200; // speakers that a list holds
  const state = { speaker: 0, source: null, recording: null, made: null, taken: null, turn: 0 };
  polygan.state = state;

  // From a recording to its sound

  /** Inputs for samples [from, to) of the recording. */
  const inputs = (from, to, voice, noise) => {
    const real = (data, dims) => ({ type: "float32", data, dims });
    const given = {
      recording: () => real(state.recording.samples.slice(from, to), [1, to - from]),
      noise: () => real(noise.slice(from, to), [1, to - from]),
      speaker: () => ({ type: "int64", data: BigInt64Array.of(BigInt(state.speaker)), dims: [1] }),
      voice: () => real(new Float32Array(voice), [2]),
    };
    return Object.fromEntries(facts.inputs.map((name) => [name, given[name]()]));
  };

  /** Frames [from, to) of a log-mel (1, bands, frames). */
  const part = ({ data, dims: [, bands, frames] }, from, to) => {
    const mel = new Float32Array(bands * (to - from));
    for (let band = 0; band < bands; band++) mel.set(data.subarray(band * frames + from, band * frames + to), band * (to - from));
    return { mel, bands };
  };

  const remake = async () => {
    const mine = ++state.turn;
    const { samples } = state.recording;
    const { hop, context } = facts;
    const total = Math.ceil(samples.length / hop);
    const noise = facts.inputs.includes("noise") ? normals(1, 0, samples.length) : null;
    const made = new Float32Array(samples.length);
    const mels = { mel: [], given: [], remade: [] };
    let voice = state.source === null ? [0, 0] : facts.voices[state.source], took = 0;
    state.made = made;
    try {
      // The network sees `context` frames on both sides of a piece, so that pieces are what the whole would give.
      for (let done = 0, end; done < total; done = end) {
        status(total > KEPT ? `Working: ${Math.round((100 * done) / total)} % …` : "Working …");
        end = total - done < 1.25 * KEPT ? total : done + KEPT;
        const begin = Math.max(0, done - context);
        const stop = Math.min(samples.length, (end + context) * hop);
        const answer = await polygan.engine.run(inputs(begin * hop, stop, voice, noise));
        if (mine !== state.turn) return; // another recording or voice was asked for, or none
        const found = Object.fromEntries(facts.outputs.map((name, i) => [name, answer.outputs[i]]));
        made.set(found.waveform.data.subarray((done - begin) * hop, (end - begin) * hop), done * hop);
        for (const name of Object.keys(mels)) if (found[name]) mels[name].push(part(found[name], done - begin, end - begin));
        if (found.taken) state.taken = voice = [...found.taken.data];
        took += answer.milliseconds / 1000;
        show(mels);
      }
      status(`${(samples.length / facts.rate).toFixed(1)} s of sound took ${took.toFixed(1)} s in this browser.`);
      stage.dataset.drawn = Number(stage.dataset.drawn) + 1;
    } catch (error) {
      status(`The network failed: ${error.message}`, true);
    }
  };

  /** Draw what is there, both mels in the same colours. A sound is made of `mel`, which is the recording's own unless it is converted. */
  const show = ({ mel, given, remade }) => {
    medium.draw(stage, state.made);
    const left = given.length ? given : mel, right = remade.length ? remade : mel;
    const range = polygan.rangeOf([...left, ...right]);
    polygan.drawMels(heard, left, range);
    polygan.drawMels(made, right, range);
  };

  const stop = () => {
    state.turn++;
    medium.stop();
    status("Stopped.");
  };

  // What is given

  const take = async (file, name) => {
    if (!file) return;
    const mine = ++state.turn;
    medium.stop();
    status("Reading …");
    try {
      const recording = await listening.read(file, name);
      if (mine !== state.turn) return;
      state.recording = recording;
      const long = recording.seconds > listening.longest;
      lines.textContent = long ? `Only the first ${listening.longest} s of ${recording.seconds.toFixed(1)} s are taken.` : "";
      caption.textContent = recording.name;
      medium.draw(recorded, recording.samples);
      recorded.dataset.drawn = Number(recorded.dataset.drawn) + 1;
      await remake();
    } catch (error) {
      status(error.message, true);
    }
  };

  let microphone = null;
  const listen = async () => {
    if (microphone) return microphone.stop();
    medium.stop();
    record.disabled = true;
    status("Waiting for the microphone …");
    try {
      microphone = await listening.record((seconds) => status(`Recording: ${seconds.toFixed(1)} s of at most ${listening.longest} s …`));
      record.disabled = false;
      record.textContent = "Stop recording";
      const file = await microphone.finished;
      await take(file, "The recording");
    } catch (error) {
      status(error.message, true);
    } finally {
      microphone = null;
      record.disabled = false;
      record.textContent = "Record";
    }
  };

  // The page

  const wave = (id, label) => el("canvas", { id, className: "wave", role: "img", ariaLabel: label });
  const picture = (id, label) => el("canvas", { id, className: "mel", role: "img", ariaLabel: label });
  const recorded = wave("recorded", "the waveform of the recording"), stage = wave("stage", "the waveform of the made sound");
  const heard = picture("mel", "the mel spectrogram of the recording"), made = picture("made-mel", "the mel spectrogram of the made sound");
  const file = el("input", { type: "file", accept: "audio/*,video/webm,video/mp4", id: "file" });
  file.onchange = () => {
    take(file.files[0]);
    file.value = ""; // the same file may be chosen again
  };
  const record = button("Record", listen, { id: "record" });
  const caption = el("p", { className: "note", id: "caption" });
  const lines = el("p", { className: "note left-out", id: "left-out" });
  const play = (samples) => samples && medium.play(samples);
  const name = () => [facts.title, converts ? facts.speakers[state.speaker] : "made"].join("-").replace(/[^\p{L}\p{N}]+/gu, "-");
  const save = () => state.made && medium.save(null, state.made, name());
  const again = () => state.recording && remake();
  const voices = chooser(facts.speakers, (index) => {
    state.speaker = index;
    again();
  }, { one: true, what: "voices" });
  const source = el("select", { id: "source" }, el("option", { value: "" }, "somebody else"),
    ...facts.speakers.slice(0, FEW).map((speaker, i) => el("option", { value: i }, speaker)));
  source.onchange = () => {
    state.source = source.value === "" ? null : Number(source.value);
    again();
  };
  const about = converts
    ? "Words and melody come from the recording. The voice and its range of pitch are those of the speaker that you choose."
    : "This sound was made of the mel spectrogram on the left alone. What differs from the recording is what the vocoder does not keep.";
  const metallic = "This page makes sound by Griffin and Lim's iterations, without a trained vocoder, so the voice sounds metallic.";

  document.getElementById("page").append(
    el("section", { className: "half" },
      el("h2", {}, "Recording"),
      recorded,
      heard,
      caption,
      lines,
      el("div", { className: "row" },
        el("label", { className: "file" }, "Open a sound", file),
        record,
        button("Play", () => play(state.recording?.samples), { id: "play-recording" })),
      ...(converts && facts.speakers.length <= FEW ? [el("div", { className: "row" }, el("label", {}, "who speaks here ", source))] : []),
      el("p", { className: "note" }, `You can also drop or paste a file. The first ${listening.longest} s are taken, and nothing leaves this browser.`)),
    el("section", { className: "half" },
      el("h2", {}, converts ? "In another voice" : "Made again from the mel"),
      stage,
      made,
      ...(converts ? [voices] : []),
      el("div", { className: "row" },
        button("Play", () => play(state.made), { id: "play", className: "main" }),
        button("Stop", stop, { id: "stop" }),
        button("Save as WAV", save, { id: "save" })),
      el("p", { className: "note" }, about),
      ...(facts.vocoder === "griffin-lim" ? [el("p", { className: "note" }, metallic)] : [])));

  document.body.ondragover = (event) => event.preventDefault();
  document.body.ondrop = (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  };
  document.body.onpaste = (event) => take([...event.clipboardData.files][0]);
  recorded.dataset.drawn = stage.dataset.drawn = 0;
  status("Open a recording, or press Record.");
};

polygan.parts.begin(polygan.begin);
