"use strict";
// A page of pictures that are made from pictures: a file or a drawing on the left, what the network makes of it on the right.

polygan.begin = async () => {
  const { el, button, status } = polygan.parts;
  const { facts } = polygan.model;
  const { draw, read, save } = polygan.medium.pixels;
  const labelled = Boolean(facts.labels);
  const state = { side: facts.side, source: null, brush: { colour: 0, width: 0.06 } };
  polygan.state = state;

  const given = el("canvas", { id: "given", role: "img", ariaLabel: "the given picture" });
  const made = el("canvas", { id: "made", role: "img", ariaLabel: "the made picture" });
  const pen = () => given.getContext("2d", { willReadFrequently: true });

  // From the left canvas to the right one

  const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

  /** One channel a class, 1 where the pixel has the colour that is nearest. */
  const oneHot = () => {
    const { data, width, height } = pen().getImageData(0, 0, given.width, given.height);
    const colours = facts.colours.map(rgb);
    const values = new Float32Array(facts.given * width * height);
    for (let i = 0; i < width * height; i++) {
      const far = colours.map((c) => c.reduce((sum, x, k) => sum + (x - data[4 * i + k]) ** 2, 0));
      values[far.indexOf(Math.min(...far)) * width * height + i] = 1;
    }
    return values;
  };

  let wanted = false, working = false;
  const translate = async () => {
    wanted = true;
    if (working) return;
    working = true;
    try {
      while (wanted) {
        wanted = false;
        status("Working …");
        const values = labelled ? oneHot() : read(given, facts.given);
        const dims = [1, facts.given, given.height, given.width];
        const answer = await polygan.engine.run({ given: { type: "float32", data: values, dims } });
        state.given = values;
        draw(made, answer.data, answer.dims.slice(1));
        made.dataset.drawn = Number(made.dataset.drawn ?? 0) + 1;
        status(`${given.width} × ${given.height} pixels took ${(answer.milliseconds / 1000).toFixed(2)} s in this browser.`);
      }
    } catch (error) {
      status(`The network failed: ${error.message}`, true);
    } finally {
      working = false;
    }
  };

  // What is given

  /** Show a picture with its longer side at `state.side`. */
  const show = (source) => {
    state.source = source;
    const longer = Math.max(source.width, source.height);
    const scale = Math.min(1, state.side / longer);
    given.width = Math.max(1, Math.round(source.width * scale));
    given.height = Math.max(1, Math.round(source.height * scale));
    const brush = pen();
    brush.imageSmoothingEnabled = !labelled;
    brush.imageSmoothingQuality = "high";
    brush.drawImage(source, 0, 0, given.width, given.height);
    if (facts.given === 1) draw(given, read(given, 1), [1, given.height, given.width]);
    given.classList.toggle("sharp", longer < 128);
    translate();
  };

  const open = async (file) => {
    if (!file) return;
    try {
      show(await createImageBitmap(file));
    } catch {
      status(`${file.name} is no picture that this browser can read.`, true);
    }
  };

  /** A landscape, drawn here, so that the page shows something at once. */
  const example = () => {
    const canvas = el("canvas", { width: state.side, height: state.side });
    const c = canvas.getContext("2d");
    c.scale(state.side / 100, state.side / 100);
    const fill = (style, shape) => {
      c.fillStyle = style;
      c.beginPath();
      shape();
      c.fill();
    };
    const style = (i, colour) => (labelled ? facts.colours[i % facts.colours.length] : colour);
    const sky = c.createLinearGradient(0, 0, 0, 70);
    sky.addColorStop(0, "#5b8fd0");
    sky.addColorStop(1, "#f3d9b0");
    fill(style(0, sky), () => c.rect(0, 0, 100, 100));
    fill(style(1, "#fff3c4"), () => c.arc(74, 24, 9, 0, 7));
    fill(style(2, "#5d6f88"), () => [[0, 70], [28, 32], [50, 60], [68, 42], [100, 70], [100, 100], [0, 100]].forEach((p) => c.lineTo(...p)));
    fill(style(3, "#4d7a4a"), () => c.ellipse(40, 104, 90, 40, 0, 0, 7));
    fill(style(4, "#b5523b"), () => c.rect(22, 62, 18, 15));
    fill(style(5, "#6b2f25"), () => [[19, 63], [31, 52], [43, 63]].forEach((p) => c.lineTo(...p)));
    show(canvas);
  };

  // Drawing on the left canvas

  const plain = facts.given === 1 ? ["#000000", "#555555", "#aaaaaa", "#ffffff"]
    : ["#000000", "#ffffff", "#d64545", "#e8a33d", "#5f9e4f", "#4677c8"];
  const colours = labelled ? facts.labels.map((name, i) => [name, facts.colours[i]]) : plain.map((colour) => ["", colour]);
  let last = null;
  const at = (event) => {
    const box = given.getBoundingClientRect();
    return [((event.clientX - box.left) * given.width) / box.width, ((event.clientY - box.top) * given.height) / box.height];
  };
  const stroke = (event) => {
    if (!last) return;
    const here = at(event), brush = pen();
    brush.strokeStyle = colours[state.brush.colour][1];
    brush.lineWidth = Math.max(1, state.brush.width * Math.max(given.width, given.height));
    brush.lineCap = "round";
    brush.beginPath();
    brush.moveTo(...last);
    brush.lineTo(...here);
    brush.stroke();
    last = here;
  };
  given.onpointerdown = (event) => {
    given.setPointerCapture(event.pointerId);
    last = at(event);
    stroke(event);
  };
  given.onpointermove = stroke;
  given.onpointerup = given.onpointercancel = () => {
    if (last) translate();
    last = null;
  };

  // The page

  const file = el("input", { type: "file", accept: "image/*", id: "file", onchange: () => open(file.files[0]) });
  const sides = [...new Set([64, 128, 256, 512, 1024, facts.side])].sort((a, b) => a - b);
  const side = el("select", { id: "side" }, ...sides.map((n) => el("option", { value: n, selected: n === facts.side }, `${n} pixels`)));
  side.onchange = () => {
    state.side = Number(side.value);
    if (state.source) show(state.source);
  };
  const dabs = colours.map(([name, colour], i) => {
    const dab = button(name, () => {
      state.brush.colour = i;
      dabs.forEach((other, k) => (other.ariaPressed = String(k === i)));
    }, { className: "dab", ariaPressed: String(i === 0), ariaLabel: name || colour });
    dab.style.setProperty("--colour", colour);
    return dab;
  });
  const width = el("select", { ariaLabel: "width of the brush" },
    ...[["fine", 0.012], ["medium", 0.06], ["broad", 0.16]].map(([name, share]) => el("option", { value: share, selected: share === state.brush.width }, name)));
  width.onchange = () => (state.brush.width = Number(width.value));

  document.getElementById("page").append(
    el("section", { className: "half" },
      el("h2", {}, "Given"),
      given,
      el("div", { className: "row" },
        el("label", { className: "file" }, "Open a picture", file),
        button("Example", example, { id: "example" }),
        el("label", {}, "longer side ", side)),
      el("div", { className: "row palette" }, el("span", {}, "Draw with"), width, ...dabs),
      el("p", { className: "note" }, labelled ? "Each pixel counts as the class whose colour is nearest." : "You can also drop or paste a picture, and draw on it.")),
    el("section", { className: "half" },
      el("h2", {}, "Made"),
      made,
      el("div", { className: "row" }, button("Save as PNG", () => save(made, facts.title.replace(/\W+/g, "-")), { id: "save" }))));

  document.body.ondragover = (event) => event.preventDefault();
  document.body.ondrop = (event) => {
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  };
  document.body.onpaste = (event) => open([...event.clipboardData.files][0]);
  example();
};

polygan.parts.begin(polygan.begin);
