"use strict";
// A page that speaks: a text is read, and each sentence is made while the one before plays.

polygan.begin = async () => {
  const { el, button, slider, normals, status } = polygan.parts;
  const { facts } = polygan.model;
  const { medium } = polygan;
  const { speakers, reading } = facts;
  const reader = polygan.reader(reading);
  const state = { seed: 1, speaker: 0, language: null, pace: 1, pitch: 0, parts: [], log: [], turn: 0 };
  polygan.state = state;

  // From a sentence to its sound

  const languageOf = () => state.language ?? facts.ofSpeakers[state.speaker] ?? 0;
  const read = () => reader.read(box.value, languageOf(), facts.most);

  const make = (ids, row, mine) => {
    const numbers = facts.end === null ? ids : [facts.end, ...ids, facts.end];
    if (polygan.attention) {
      const alive = () => mine === state.turn;
      const told = document.getElementById("status").textContent;
      const tell = (seconds) => alive() && status(`${told} ${seconds.toFixed(1)} s of speech`);
      return polygan.attention.speak(numbers, { speaker: state.speaker, language: languageOf(), seed: state.seed, row, alive, tell });
    }
    const whole = (values, dims) => ({ type: "int64", data: BigInt64Array.from(values, BigInt), dims });
    const real = (value) => ({ type: "float32", data: new Float32Array([value]), dims: [1] });
    const inputs = {
      ids: whole(numbers, [1, numbers.length]),
      pace: real(state.pace),
      pitch: real(state.pitch * facts.semitones[state.speaker]),
      speaker: whole([state.speaker], [1]),
      language: whole([languageOf()], [1]),
      noise: { type: "float32", data: facts.noise ? normals(state.seed, row, facts.noise) : [], dims: [1, facts.noise] },
    };
    return polygan.engine.run(Object.fromEntries(facts.inputs.map((name) => [name, inputs[name]])));
  };

  /** All sentences that were made, with pauses between them. */
  const joined = () => {
    const pause = Math.round((facts.pause * facts.rate) / facts.hop) * facts.hop;
    const { parts } = state;
    const sound = new Float32Array(parts.reduce((sum, { sound }) => sum + sound.length + pause, parts.length ? -pause : 0));
    let at = 0;
    for (const part of parts) {
      sound.set(part.sound, at);
      at += part.sound.length + pause;
    }
    return sound;
  };

  const speak = async () => {
    const mine = ++state.turn;
    medium.stop();
    state.parts = [];
    state.log = [];
    if (!box.value.trim()) return status("Type a text to speak.", true);
    const { sentences } = read();
    if (!sentences.length) return status("Nothing of this text can be spoken: see below the text.", true);
    const begun = performance.now();
    let seconds = 0;
    try {
      for (const [i, { ids }] of sentences.entries()) {
        status(sentences.length > 1 ? `Making sentence ${i + 1} of ${sentences.length} …` : "Working …");
        const made = await make(ids, i, mine);
        if (mine !== state.turn) return; // another text was asked for, or none
        const { outputs: [waveform, mel], milliseconds } = made;
        seconds += milliseconds / 1000;
        state.parts.push({ sound: waveform.data, mel: mel.data, bands: mel.dims[1] });
        state.log.push({ made: performance.now() - begun, playing: medium.enqueue(waveform.data, i ? facts.pause : 0) });
        show();
      }
      const length = joined().length / facts.rate;
      status(`${length.toFixed(1)} s of speech took ${seconds.toFixed(1)} s in this browser.`);
      stage.dataset.drawn = Number(stage.dataset.drawn) + 1;
    } catch (error) {
      status(`The network failed: ${error.message}`, true);
    }
  };

  const stop = () => {
    state.turn++;
    medium.stop();
    status("Stopped.");
  };

  // What is shown

  const show = () => {
    medium.draw(stage, joined());
    polygan.drawMels(picture, state.parts);
  };

  const SHOWN = 20; // words or characters that a line names
  const named = (text, things) => {
    const more = things.length > SHOWN ? ` and ${things.length - SHOWN} more` : "";
    return things.length ? [el("p", { className: "note left-out" }, `${text}: ${things.slice(0, SHOWN).join("  ")}${more}`)] : [];
  };
  let timer = 0;
  const tell = () => {
    const { left, unknown, plain } = read();
    lines.replaceChildren(
      ...named("Words without a known pronunciation are left out", unknown),
      ...named("Characters that the voice does not know are left out", left),
      ...named("Said digit by digit", plain));
  };

  // The page

  const EXAMPLES = {
    en: "Good morning. This voice speaks in your browser.",
    it: "Buongiorno. Questa voce parla nel tuo browser.",
    de: "Guten Morgen. Diese Stimme spricht in deinem Browser.",
    fr: "Bonjour. Cette voix parle dans ton navigateur.",
    es: "Buenos días. Esta voz habla en tu navegador.",
  };
  const example = () => EXAMPLES[reading.languages[languageOf()].name.slice(0, 2)] ?? "";
  const box = el("textarea", { id: "text", rows: 7, placeholder: "Type a text to speak", ariaLabel: "text to speak", spellcheck: false });
  box.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(tell, 150);
  };
  const lines = el("div", { id: "left-out" });
  const choice = (id, names, onchoose) => {
    const made = el("select", { id }, ...names.map(([value, name]) => el("option", { value }, name)));
    made.onchange = () => {
      onchoose(made.value);
      tell();
    };
    return made;
  };
  const speaker = choice("speaker", speakers.map((name, i) => [i, name]), (value) => (state.speaker = Number(value)));
  const language = choice("language", [["", "the speaker's own"], ...reading.languages.map(({ name }, i) => [i, name])],
    (value) => (state.language = value === "" ? null : Number(value)));
  const seedBox = el("input", { type: "number", id: "seed", min: 0, max: 4294967295, value: state.seed });
  seedBox.onchange = () => (state.seed = Math.abs(Math.trunc(Number(seedBox.value))) >>> 0);
  const stage = el("canvas", { id: "stage", className: "sound", role: "img", ariaLabel: "the waveform" });
  const picture = el("canvas", { id: "mel", role: "img", ariaLabel: "the mel spectrogram" });
  const save = () => state.parts.length && medium.save(null, joined(), `${facts.title.replace(/\W+/g, "-")}-speech`);
  const replay = () => {
    if (state.parts.length) medium.play(joined());
  };

  document.getElementById("page").append(
    el("section", { className: "half" },
      el("h2", {}, "Text"),
      box,
      lines,
      el("div", { className: "row" },
        button("Speak", speak, { id: "speak", className: "main" }),
        button("Stop", stop, { id: "stop" }),
        ...(speakers.length ? [el("label", {}, "voice ", speaker)] : []),
        ...(reading.languages.length > 1 ? [el("label", {}, "language ", language)] : []),
        ...(facts.noise || polygan.attention?.seeded ? [el("label", { className: "seed" }, "seed ", seedBox)] : [])),
      ...(polygan.attention ? [] : [el("fieldset", {},
        slider("pace", { min: 0.5, max: 2, step: 0.05, value: 1 }, (to) => (state.pace = to)).node,
        slider("semitones higher", { min: -12, max: 12, step: 0.5, value: 0, digits: 1 }, (to) => (state.pitch = to)).node)]),
      el("p", { className: "note" }, "A long text is spoken sentence by sentence: the first one plays while the next ones are made.")),
    el("section", { className: "half" },
      el("h2", {}, "Speech"),
      stage,
      picture,
      el("div", { className: "row" }, button("Play again", replay, { id: "play" }), button("Save as WAV", save, { id: "save" })),
      ...(facts.vocoder === "griffin-lim" ? [el("p", { className: "note" }, "This page makes sound by Griffin and Lim's iterations, without a trained vocoder, so the voice sounds metallic.")] : [])));

  stage.dataset.drawn = 0;
  box.value = example();
  const { left, unknown } = read();
  if (left.length || unknown.length) box.value = "";
  tell();
  status("Type a text, and press Speak.");
};

polygan.parts.begin(polygan.begin);
