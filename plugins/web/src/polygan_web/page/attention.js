"use strict";
// A sentence frame by frame: an encoder reads it, steps of the decoder make its frames until a rule stops them, a postnet corrects them,
// and a vocoder makes them sound. The steps are those of polygan_speech's `Decoder.infer`.

polygan.attention = (() => {
  const { fraction, normals } = polygan.parts;
  const { facts } = polygan.model;
  const { bands, reduction, prenet, dropout, attentionUnits, decoderUnits, gate, patience, framesPerSymbol, slack, most, noisy } = facts.attention;
  const wide = bands * reduction;
  const MOST_STEPS = Math.ceil(most / reduction);
  const STATES = ["attention_hidden", "attention_cells", "decoder_hidden", "decoder_cells", "context", "places"];

  const real = (data, ...dims) => ({ type: "float32", data, dims });
  const whole = (values, ...dims) => ({ type: "int64", data: BigInt64Array.from(values, BigInt), dims });
  const zeros = (...dims) => real(new Float32Array(dims.reduce((a, b) => a * b)), ...dims);

  /** Factors (2, 1, prenet) of the dropout in a step, drawn by the page's seed and the sentence's number: 0, or 1 / (1 - dropout). */
  const kept = (seed, row, step) =>
    Float32Array.from({ length: 2 * prenet }, (_, i) =>
      dropout && fraction(seed, (row * MOST_STEPS + step) * 2 * prenet + i) <= dropout ? 0 : 1 / (1 - dropout));

  const greatest = (values, count) => {
    let place = 0;
    for (let i = 1; i < count; i++) if (values[i] > values[place]) place = i;
    return place;
  };

  /** Log-mels (1, bands, frames) of the frames of all steps, each (reduction, bands). */
  const joined = (steps) => {
    const frames = steps.length * reduction;
    const mel = new Float32Array(bands * frames);
    steps.forEach((made, t) => {
      for (let i = 0; i < wide; i++) mel[(i % bands) * frames + t * reduction + Math.floor(i / bands)] = made[i];
    });
    return real(mel, 1, bands, frames);
  };

  /** The waveform and the mel of a sentence's numbers, as the vocoder gives them; null once `alive()` is false. `tell(seconds)` hears how far it is. */
  const speak = async (numbers, { speaker, language, seed, row, alive, tell }) => {
    let milliseconds = 0;
    const run = async (inputs, part) => {
      const found = await polygan.engine.run(inputs, part);
      milliseconds += found.milliseconds;
      return found.outputs.map(({ data, dims }) => real(data, ...dims));
    };
    const symbols = numbers.length;
    const text = { ids: whole(numbers, 1, symbols), speaker: whole([speaker], 1), language: whole([language], 1) };
    const [memory, keys] = await run(Object.fromEntries(facts.inputs.map((name) => [name, text[name]])), "encoder");
    let states = [
      ...[attentionUnits, attentionUnits, decoderUnits, decoderUnits, memory.dims[2]].map((units) => zeros(1, units)),
      zeros(1, 2, symbols),
    ];
    let before = zeros(1, wide), waited = 0;
    const steps = [];
    const limit = Math.min(slack + Math.floor(framesPerSymbol * symbols), most);
    while (steps.length * reduction < limit) {
      if (!alive()) return null;
      const inputs = { before, kept: real(kept(seed, row, steps.length), 2, 1, prenet), memory, keys };
      STATES.forEach((name, i) => (inputs[name] = states[i]));
      const [made, stop, ...next] = await run(inputs, "step");
      before = made;
      states = next;
      steps.push(made.data);
      tell((steps.length * reduction * facts.hop) / facts.rate);
      // A sentence ends where its last symbol was attended most for a while, or where the stop gate says so.
      const atLast = greatest(states.at(-1).data, symbols) === symbols - 1;
      waited = patience && atLast ? waited + reduction : 0;
      if ((patience && waited >= patience) || 1 / (1 + Math.exp(-stop.data[0])) > gate) break;
    }
    const [mel] = await run({ mel: joined(steps) }, "postnet");
    if (!alive()) return null;
    const samples = mel.dims[2] * facts.hop;
    const noise = noisy ? { noise: real(normals(seed, row, samples), 1, samples) } : {};
    const outputs = await run({ mel, ...noise }, "vocoder");
    return { outputs, milliseconds };
  };

  return { speak, kept, seeded: dropout > 0 || noisy };
})();
