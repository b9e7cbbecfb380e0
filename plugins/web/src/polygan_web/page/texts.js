"use strict";
// A page of texts: several are written at once, token by token, each token drawn from the network's probabilities.

polygan.begin = async () => {
  const { el, button, slider, chooser, fraction, save, status } = polygan.parts;
  const { facts } = polygan.model;
  const { classes } = facts;
  const TEXTS = 6;
  const state = { seed: 1, class: null, temperature: 1, share: 1, tokens: [] };
  polygan.state = state;

  // Writing

  /** A token by its probability, among the likeliest that have the share `share` together; `u` in (0, 1]. */
  const drawToken = (logits, u) => {
    const allowed = [...logits.keys()].filter((i) => !facts.banned.includes(i));
    const most = allowed.reduce((best, i) => Math.max(best, logits[i]), -Infinity);
    const weight = (i) => Math.exp((logits[i] - most) / state.temperature);
    let kept = allowed.map((i) => [i, weight(i)]);
    let total = kept.reduce((sum, [, w]) => sum + w, 0);
    if (state.share < 1) {
      kept.sort((a, b) => b[1] - a[1]);
      let sum = 0;
      kept = kept.filter(([, w]) => {
        const before = sum;
        sum += w;
        return before < state.share * total;
      });
      total = kept.reduce((all, [, w]) => all + w, 0);
    }
    let left = u * total;
    for (const [i, w] of kept) if ((left -= w) <= 0) return i;
    return kept[kept.length - 1][0];
  };

  const spelled = (tokens) => {
    const body = tokens.filter((token) => token !== facts.end);
    if (!facts.pieces.length) return body.join(" ");
    const text = body.map((token) => facts.pieces[token] ?? "").join("");
    if (!facts.bytes) return text.trimStart();
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return new TextDecoder().decode(bytes).replaceAll("\ufffd", "").trimStart();
  };

  let turn = 0;
  const write = async () => {
    const mine = ++turn;
    const labels = papers.map((_, i) => state.class ?? (classes.length ? i % classes.length : 0));
    state.tokens = papers.map(() => []);
    papers.forEach((paper, i) => {
      paper.text.textContent = "";
      paper.node.classList.add("open");
      paper.label.textContent = classes.length ? classes[labels[i]] : "";
    });
    let last = papers.map(() => facts.start);
    let memory = new Float32Array(TEXTS * facts.state);
    let milliseconds = 0, steps = 0;
    const ended = papers.map(() => false);
    try {
      for (let place = 0; place < facts.length && !ended.every(Boolean); place++) {
        const whole = (values) => ({ type: "int64", data: BigInt64Array.from(values, BigInt), dims: [values.length] });
        const inputs = {
          token: whole(last),
          place: { type: "int64", data: BigInt64Array.from([BigInt(place)]), dims: [] },
          state: { type: "float32", data: memory, dims: [TEXTS, facts.state] },
          ...(classes.length ? { classes: whole(labels) } : {}),
        };
        const answer = await polygan.engine.run(inputs);
        if (mine !== turn) return; // another text was asked for
        const [logits, next] = answer.outputs;
        memory = next.data;
        milliseconds += answer.milliseconds;
        steps++;
        const size = logits.data.length / TEXTS;
        last = papers.map((paper, i) => {
          if (ended[i]) return facts.end ?? facts.start;
          const u = fraction(Math.imul(state.seed + 1, 0x9e3779b1) ^ i, place);
          const token = drawToken(logits.data.subarray(i * size, (i + 1) * size), u);
          state.tokens[i].push(token);
          paper.text.textContent = spelled(state.tokens[i]);
          ended[i] = token === facts.end || place + 1 === facts.length;
          if (ended[i]) paper.node.classList.remove("open");
          return token;
        });
        if (place % 4 === 0) status("Writing …");
        await new Promise((resolve) => setTimeout(resolve));
      }
      status(`${TEXTS} texts took ${(milliseconds / 1000).toFixed(2)} s in this browser, ${(milliseconds / steps).toFixed(1)} ms a token.`);
      page.dataset.drawn = Number(page.dataset.drawn ?? 0) + 1;
    } catch (error) {
      status(`The network failed: ${error.message}`, true);
    }
  };

  const sow = (seed) => {
    state.seed = seed;
    seedBox.value = seed;
    write();
  };

  // The page

  const page = document.getElementById("page");
  const papers = Array.from({ length: TEXTS }, () => {
    const text = el("p"), label = el("span", { className: "note" });
    return { node: el("article", {}, label, text), text, label };
  });
  const seedBox = el("input", { type: "number", id: "seed", min: 0, max: 4294967295, value: state.seed });
  seedBox.onchange = () => sow(Math.abs(Math.trunc(Number(seedBox.value))) >>> 0);
  const temperature = slider("temperature", { min: 0.1, max: 2, step: 0.05, value: 1 }, (to) => (state.temperature = to));
  const share = slider("likeliest share", { min: 0.05, max: 1, step: 0.05, value: 1 }, (to) => (state.share = to));
  for (const { input } of [temperature, share]) input.onchange = write;
  page.append(
    el("section", { className: "left" },
      el("div", { className: "row" },
        button("Write anew", () => sow(Math.floor(Math.random() * 1_000_000)), { id: "new", className: "main" }),
        el("label", { className: "seed" }, "seed ", seedBox)),
      el("fieldset", {}, temperature.node, share.node),
      el("p", { className: "note" }, "A low temperature writes what is likely, a high one what is rare. A share below 1 leaves the unlikeliest tokens out."),
      ...(classes.length ? [chooser(classes, (index) => {
        state.class = index;
        write();
      })] : []),
      el("div", { className: "row" },
        button("Save as text", () => save(new Blob([state.tokens.map((tokens) => `${spelled(tokens)}\n`).join("")], { type: "text/plain" }), "texts.txt"), { id: "save" }))),
    el("section", { className: "right papers" }, ...papers.map(({ node }) => node)));
  sow(state.seed);
};

polygan.parts.begin(polygan.begin);
