"use strict";
// A page that writes a text from a text: an encoder reads the one, a step after step writes the other.

polygan.begin = async () => {
  const { el, button, slider, fraction, save, status } = polygan.parts;
  const { facts } = polygan.model;
  const tokenizer = polygan.tokenizer(facts);
  const BEAMS = 4;
  const state = { seed: 1, temperature: 1, how: "search", tokens: [], turn: 0 };
  polygan.state = state;

  const whole = (values, dims) => ({ type: "int64", data: BigInt64Array.from(values, BigInt), dims });
  const repeated = (values, rows, each) => {
    const made = new values.constructor(rows.length * each);
    rows.forEach((row, i) => made.set(values.subarray(row * each, (row + 1) * each), i * each));
    return made;
  };

  /** A function from a place, the last tokens and the rows that they go on from, to log-probabilities of the next ones; null when stopped. */
  const stepper = async (ids, mine, clock) => {
    const { outputs: [memory, first], milliseconds } = await polygan.engine.run({ given: whole(ids, [1, ids.length]) }, "encoder");
    clock.milliseconds += milliseconds;
    const each = memory.data.length, size = first.data.length;
    let kept = first.data;
    return async (place, last, rows) => {
      if (mine !== state.turn) return null;
      const count = rows.length;
      const inputs = {
        given: whole(rows.flatMap(() => ids), [count, ids.length]),
        memory: { type: "float32", data: repeated(memory.data, rows.map(() => 0), each), dims: [count, ...memory.dims.slice(1)] },
        token: whole(last, [count]),
        place: whole([place], []),
        state: { type: "float32", data: repeated(kept, rows, size), dims: [count, size] },
      };
      const { outputs: [logits, next], milliseconds: took } = await polygan.engine.run(inputs, "step");
      clock.milliseconds += took;
      clock.steps++;
      kept = next.data;
      const words = logits.data.length / count;
      return rows.map((_, i) => logits.data.subarray(i * words, (i + 1) * words));
    };
  };

  const drawn = (values, place) => {
    const weight = (i) => (i === facts.unknown ? 0 : Math.exp(values[i] / state.temperature));
    let total = 0;
    for (let i = 0; i < values.length; i++) total += weight(i);
    let left = fraction(state.seed, place) * total, last = facts.end;
    for (let i = 0; i < values.length; i++) {
      const share = weight(i);
      if (!share) continue;
      last = i;
      if ((left -= share) <= 0) break;
    }
    return last;
  };

  const show = (tokens, pieces, open) => {
    state.tokens = tokens;
    paper.textContent = tokenizer.decode(tokens, pieces);
    sheet.classList.toggle("open", open);
  };

  const write = async () => {
    const mine = ++state.turn;
    const { ids, pieces } = tokenizer.encode(box.value);
    show([], [], false);
    if (!ids.length) return status("Type a text to rewrite.", true);
    const given = [...ids.slice(0, facts.given - 1), facts.end];
    const clock = { milliseconds: 0, steps: 0 };
    status("Writing …");
    try {
      const step = await stepper(given, mine, clock);
      const { length, start, end, unknown: banned } = facts;
      let tokens = [];
      if (state.how === "drawn") {
        for (let place = 0; place < length && tokens.at(-1) !== end; place++) {
          const found = await step(place, [tokens.at(-1) ?? start], [0]);
          if (!found) return;
          tokens.push(drawn(found[0], place));
          show(tokens, pieces, true);
        }
      } else {
        tokens = await polygan.search(step, { beams: state.how === "search" ? BEAMS : 1, length, start, end, banned });
        if (!tokens || mine !== state.turn) return;
      }
      show(tokens, pieces, false);
      status(`${tokens.length} tokens took ${(clock.milliseconds / 1000).toFixed(2)} s in this browser.`);
      sheet.dataset.drawn = Number(sheet.dataset.drawn) + 1;
    } catch (error) {
      status(`The network failed: ${error.message}`, true);
    }
  };

  const SHOWN = 20; // words that a line names
  let timer = 0;
  const tell = () => {
    const { ids, pieces } = tokenizer.encode(box.value);
    const most = facts.given - 1;
    const unknown = [...new Set(pieces.slice(0, most).filter((_, i) => ids[i] === facts.unknown))];
    const named = unknown.slice(0, SHOWN).map((piece) => tokenizer.decode([facts.vocabulary], [piece]).trim()).join("  ");
    lines.replaceChildren(
      ...(unknown.length ? [el("p", { className: "note left-out" }, `Unknown words, which can only be copied: ${named}${unknown.length > SHOWN ? ` and ${unknown.length - SHOWN} more` : ""}`)] : []),
      ...(ids.length > most ? [el("p", { className: "note left-out" }, `Only the first ${most.toLocaleString()} of ${ids.length.toLocaleString()} tokens are read.`)] : []));
  };

  // The page

  const box = el("textarea", { id: "text", rows: 10, placeholder: "Type or paste a text", ariaLabel: "text to rewrite" });
  box.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(tell, 150);
  };
  const lines = el("div", { id: "left-out" });
  const how = el("select", { id: "how", ariaLabel: "how it is written" },
    ...[["search", `the likeliest text (${BEAMS} beams)`], ["likeliest", "the likeliest token each time"], ["drawn", "each token drawn"]]
      .map(([value, name]) => el("option", { value }, name)));
  const drawing = el("fieldset", { hidden: true },
    slider("temperature", { min: 0.1, max: 2, step: 0.05, value: 1 }, (to) => (state.temperature = to)).node);
  how.onchange = () => {
    state.how = how.value;
    drawing.hidden = state.how !== "drawn";
  };
  const seedBox = el("input", { type: "number", id: "seed", min: 0, max: 4294967295, value: state.seed });
  seedBox.onchange = () => (state.seed = Math.abs(Math.trunc(Number(seedBox.value))) >>> 0);
  drawing.append(el("label", { className: "seed" }, "seed ", seedBox));
  const paper = el("p", { id: "written" });
  const sheet = el("article", { id: "sheet" }, paper);
  document.getElementById("page").append(
    el("section", { className: "half" },
      el("h2", {}, "Given"),
      box,
      lines,
      el("div", { className: "row" }, button("Rewrite", write, { id: "write", className: "main" }), how),
      drawing),
    el("section", { className: "half" },
      el("h2", {}, "Written"),
      sheet,
      el("div", { className: "row" },
        button("Save as text", () => save(new Blob([`${paper.textContent}\n`], { type: "text/plain" }), "text.txt"), { id: "save" }))));
  sheet.dataset.drawn = 0;
  status("Type a text, and press Rewrite.");
};

polygan.parts.begin(polygan.begin);
