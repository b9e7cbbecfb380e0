"use strict";
// A page of samples that are made of latents: a grid by seed, one large sample, sliders along directions, classes, a walk.

polygan.begin = async () => {
  const { el, button, slider, chooser, normals, dot, slerp, status } = polygan.parts;
  const { facts } = polygan.model;
  const { medium } = polygan;
  const { size, classes, directions, shift } = facts; // shift: the size of w, which the sliders then move; 0: they move the latents
  const count = medium.count;
  const state = { seed: 1, class: null, truncation: facts.truncation, chosen: 0, latents: new Float32Array(size), label: 0, values: null, shift: new Float32Array(shift) };
  polygan.state = state;

  // Making samples: the large one first, then the grid, one request after another.

  const latentsAt = (i) => normals(state.seed, i, size);
  const labelAt = (i) => state.class ?? (classes.length ? i % classes.length : 0);
  const todo = { stage: false, grid: [] };
  let working = false;

  const make = (latents, labels, moved = new Float32Array(latents.length * shift)) => {
    const data = new Float32Array(latents.length * size);
    latents.forEach((row, i) => data.set(row, i * size));
    const inputs = { [facts.latents]: { type: "float32", data, dims: [latents.length, size] } };
    if (classes.length) {
      inputs[facts.label] = { type: "int64", data: BigInt64Array.from(labels, BigInt), dims: [labels.length] };
    }
    if (facts.truncation !== null) inputs.truncation = { type: "float32", data: new Float32Array([state.truncation]), dims: [] };
    if (shift) inputs.shift = { type: "float32", data: moved, dims: [latents.length, shift] };
    return (polygan.sounding ?? polygan.engine.run)(inputs);
  };

  const work = async () => {
    if (working) return;
    working = true;
    try {
      while (todo.stage || todo.grid.length) {
        if (todo.stage) {
          todo.stage = false;
          const made = await make([state.latents], [state.label], state.shift);
          state.values = made.data;
          medium.draw(stage, made.data);
          stage.dataset.drawn = Number(stage.dataset.drawn ?? 0) + 1;
          status(`A ${medium.name} takes ${Math.max(1, Math.round(made.milliseconds))} ms in this browser.`);
          if (state.listen) medium.chosen(made.data);
          state.listen = false;
        } else {
          const rows = todo.grid.splice(0, medium.batch);
          const seed = state.seed;
          const made = await make(rows.map(latentsAt), rows.map(labelAt));
          if (seed !== state.seed) continue;
          const each = made.data.length / rows.length;
          rows.forEach((row, i) => medium.draw(cells[row].firstChild, made.data.subarray(i * each, (i + 1) * each)));
        }
      }
    } catch (error) {
      status(`The network failed: ${error.message}`, true);
    } finally {
      working = false;
    }
  };

  const drawStage = () => {
    todo.stage = true;
    work();
  };

  const drawGrid = () => {
    todo.grid = cells.map((_, i) => i);
    work();
  };

  // What a user does

  const moveSliders = () => shift || sliders.forEach(({ set }, k) => set(dot(state.latents, directions[k])));
  const unmoved = () => {
    if (!shift) return;
    state.shift = new Float32Array(shift);
    sliders.forEach(({ set }) => set(0));
  };

  const choose = (i, listen = true) => {
    state.chosen = i;
    state.latents = latentsAt(i);
    state.label = labelAt(i);
    state.listen = listen;
    unmoved();
    walk.set(i);
    cells.forEach((cell, k) => (cell.ariaPressed = String(k === i)));
    moveSliders();
    drawStage();
  };

  const turn = (k, to) => {
    if (shift) {
      const far = sliders.map(({ input }) => Number(input.value)); // in standard deviations
      state.shift = state.shift.map((_, i) => far.reduce((sum, n, j) => sum + n * directions[j][i], 0));
    } else {
      const step = to - dot(state.latents, directions[k]);
      state.latents = state.latents.map((x, i) => x + step * directions[k][i]);
    }
    drawStage();
  };

  const walkTo = (t) => {
    const i = Math.floor(t) % count, next = (i + 1) % count;
    state.latents = slerp(latentsAt(i), latentsAt(next), t - Math.floor(t));
    state.label = labelAt(t - Math.floor(t) < 0.5 ? i : next);
    moveSliders();
    drawStage();
  };

  const sow = (seed) => {
    state.seed = seed;
    seedBox.value = seed;
    choose(0, false);
    drawGrid();
  };

  let timer = 0;
  const stroll = () => {
    clearInterval(timer);
    timer = timer ? 0 : setInterval(() => {
      if (todo.stage) return; // the browser is slower than the walk
      const t = (Number(walk.input.value) + 0.04) % count;
      walk.set(t);
      walkTo(t);
    }, 50);
    walkButton.textContent = timer ? "Stop" : "Walk";
  };

  // The page

  const stage = el("canvas", { id: "stage", className: medium.name, role: "img", ariaLabel: `the chosen ${medium.name}` });
  const cells = Array.from({ length: count }, (_, i) =>
    button(el("canvas", { className: medium.name }), () => choose(i), { className: "cell", ariaLabel: `${medium.name} ${i + 1}` }));
  const seedBox = el("input", { type: "number", id: "seed", min: 0, max: 4294967295, value: state.seed });
  seedBox.onchange = () => sow(Math.abs(Math.trunc(Number(seedBox.value))) >>> 0);
  const sliders = directions.map((_, k) => slider(`direction ${k + 1}`, { min: -4, max: 4, value: 0 }, (to) => turn(k, to)));
  const space = shift
    ? `The ${medium.plural} differ most along these directions of w, the space between latents and ${medium.plural}. A slider is in standard deviations.`
    : `The ${medium.plural} change most along these directions of the latents.`;
  const walk = slider("from one to the next", { min: 0, max: count - 0.01, value: 0 }, walkTo);
  const walkButton = button("Walk", stroll);
  const truncation = facts.truncation === null ? [] : [
    slider("truncation", { min: 0, max: 1, value: facts.truncation }, (to) => {
      state.truncation = to;
      drawStage();
      drawGrid();
    }),
  ];
  if (medium.play) {
    for (const { input } of sliders) input.onchange = () => {
      state.listen = true;
      drawStage();
    };
  }

  document.getElementById("page").append(
    el("section", { className: "left" },
      stage,
      el("div", { className: "row" },
        ...(medium.play ? [button("Play", () => state.values && medium.play(state.values), { id: "play" })] : []),
        button(medium.saved, () => state.values && medium.save(stage, state.values, `${facts.title.replace(/\W+/g, "-")}-${state.seed}-${state.chosen}`), { id: "save" }),
        ...(medium.play ? [] : [walkButton]),
        button("Reset", () => choose(state.chosen, false), { id: "reset" })),
      ...(sliders.length ? [el("fieldset", {}, el("legend", {}, "Directions of greatest change"), ...sliders.map(({ node }) => node),
        el("p", { className: "note", id: "space" }, space))] : []),
      el("fieldset", {}, el("legend", {}, `Between ${medium.plural}`), walk.node, ...truncation.map(({ node }) => node))),
    el("section", { className: "right" },
      el("div", { className: "row" },
        el("label", { className: "seed" }, "seed ", seedBox),
        button(`New ${medium.plural}`, () => sow(Math.floor(Math.random() * 1_000_000)), { id: "new", className: "main" })),
      ...(classes.length ? [chooser(classes, (index) => {
        state.class = index;
        choose(state.chosen);
        drawGrid();
      })] : []),
      el("div", { className: `grid ${medium.name}s` }, ...cells),
      el("p", { className: "note" }, `Click a ${medium.name} to change it with the sliders.`),
      ...(facts.vocoder === "griffin-lim" ? [el("p", { className: "note" }, "This page makes sound by Griffin and Lim's iterations, without a trained vocoder, so sounds are a little metallic.")] : [])));

  sow(state.seed);
};

polygan.parts.begin(polygan.begin);
