"use strict";
// Random numbers, and the parts that pages are made of. Text goes into the page as text, never as markup.

polygan.parts = (() => {
  /** A new element: `el("button", { className: "wide", onclick }, "text", child)`. */
  const el = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made) made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  const button = (text, onclick, properties = {}) => el("button", { type: "button", onclick, ...properties }, text);

  /** A named slider with its value; `set(value)` moves it without a call of `oninput`. */
  const slider = (name, { min, max, step = 0.01, value, digits = 2 }, oninput) => {
    const shown = el("output", {}, value.toFixed(digits));
    const input = el("input", { type: "range", min, max, step, value });
    input.oninput = () => {
      shown.textContent = Number(input.value).toFixed(digits);
      oninput(Number(input.value));
    };
    const set = (to) => {
      input.value = to;
      shown.textContent = to.toFixed(digits);
    };
    return { node: el("label", { className: "slider" }, el("span", {}, name), input, shown), input, set };
  };

  const FEW = 50; // classes that are shown as buttons at once

  /** Buttons for the classes, with a search box where there are many; `onchoose(index)`, null for all in turn. `one`: never all, the first at the beginning. */
  const chooser = (names, onchoose, { one = false, what = "classes" } = {}) => {
    const row = el("div", { className: "chips" });
    const note = el("p", { className: "note" });
    let chosen = one ? 0 : null;
    const choose = (index) => {
      chosen = index;
      show();
      onchoose(index);
    };
    const search = el("input", { type: "search", placeholder: `search ${names.length.toLocaleString()} ${what}` });
    const chip = (text, index) => button(text, () => choose(index), { className: "chip", ariaPressed: String(index === chosen) });
    const show = () => {
      const word = search.value.trim().toLowerCase();
      const found = [];
      let count = 0;
      names.forEach((name, index) => {
        if (!name.toLowerCase().includes(word)) return;
        if (count++ < FEW) found.push(index);
      });
      if (chosen !== null && !found.includes(chosen)) found.unshift(chosen);
      row.replaceChildren(...(one ? [] : [chip("all in turn", null)]), ...found.map((index) => chip(names[index], index)));
      note.textContent = count > FEW ? `${(count - FEW).toLocaleString()} more: type a part of the name` : count ? "" : one ? "no such name" : "no such class";
    };
    search.oninput = show;
    show();
    return el("div", { className: "chooser" }, ...(names.length > FEW ? [search] : []), row, note);
  };

  /** A hash of two 32-bit integers, as a fraction in (0, 1]. */
  const fraction = (seed, i) => {
    let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(i + 1, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
    h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
    return ((h ^ (h >>> 15)) >>> 0) / 4294967296 + 2 ** -33;
  };

  /** `n` standard normal numbers, a function of `seed` and `row` (Box and Muller 1958). */
  const normals = (seed, row, n) => {
    const made = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      const at = 2 * (row * n + i);
      made[i] = Math.sqrt(-2 * Math.log(fraction(seed, at))) * Math.cos(2 * Math.PI * fraction(seed, at + 1));
    }
    return made;
  };

  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

  /** The point at `t` in [0, 1] of the arc from `a` to `b` (White 2016, arXiv:1609.04468). */
  const slerp = (a, b, t) => {
    const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1);
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    const sine = Math.sin(angle);
    const [p, q] = sine < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
    return a.map((x, i) => p * x + q * b[i]);
  };

  /** Hand a file to the user. */
  const save = (blob, name) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  /** One line about what goes on; a fault stays until the next success. */
  const status = (text, fault = false) => {
    const line = document.getElementById("status");
    line.textContent = text;
    line.classList.toggle("fault", fault);
  };

  /** Start the network, then the page; a fault becomes one line. */
  const begin = async (build) => {
    try {
      if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old for this page: update the browser");
      await polygan.engine.start();
      await build();
    } catch (error) {
      status(`The network could not be started: ${error.message}`, true);
    }
  };

  return { el, button, slider, chooser, fraction, normals, dot, slerp, save, status, begin };
})();
