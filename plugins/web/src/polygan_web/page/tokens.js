"use strict";
// From a text to tokens and back, as polygan's tokenizers of words, characters and byte pairs do it. Nothing here knows the page.

polygan.tokenizer = ({ words, cutting, unknown, vocabulary, start, end }) => {
  const SPECIAL = 3; // the start, the end, and the unknown word
  const numbers = new Map();
  words.forEach((word, i) => word && i >= SPECIAL && numbers.set(word, i));
  const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

  // Cutting

  const LETTER = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"; // what \w is there
  const { space = "", clusters = false } = cutting;
  const cutWords = (text) => {
    const white = cutting.breaks
      ? text.replaceAll("\n", " \n ").replace(/[^\P{White_Space}\n]+/gu, " ")
      : text.replace(/\p{White_Space}+/gu, " ");
    const bare = white.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, "");
    const whole = (bare ? ` ${bare}` : "").replaceAll(" ", space);
    const word = new RegExp(clusters ? `${LETTER}(?:${LETTER}|[\\u200c\\u200d])*` : `${LETTER}+`, "uy");
    const found = [];
    let at = 0;
    while (at < whole.length) {
      const from = at + (whole[at] === space ? 1 : 0);
      word.lastIndex = from;
      let to = word.test(whole) ? word.lastIndex : from;
      if (to === from && from < whole.length && whole[from] !== space) {
        const mark = clusters ? graphemes.segment(whole.slice(from))[Symbol.iterator]().next().value.segment : String.fromCodePoint(whole.codePointAt(from));
        to = from + mark.length;
      }
      found.push(whole.slice(at, to));
      at = to;
    }
    return found;
  };

  const bytes = (() => {
    const printed = (b) => (b >= 0x21 && b < 0x7f) || (b >= 0xa1 && b !== 0xad);
    let other = 256;
    return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printed(b) ? b : other++));
  })();
  const byteOf = new Map(bytes.map((letter, b) => [letter, b]));
  const ranks = new Map((cutting.merges ?? []).map(([a, b], i) => [`${a} ${b}`, i]));
  const merged = (parts) => {
    for (;;) {
      let least = Infinity, place = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
        if (rank < least) [least, place] = [rank, i];
      }
      if (place < 0) return parts;
      parts.splice(place, 2, parts[place] + parts[place + 1]);
    }
  };
  const PIECE = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
  const cutBytes = (text) =>
    (text.match(PIECE) ?? []).flatMap((piece) => merged([...new TextEncoder().encode(piece)].map((b) => bytes[b])));
  const cutCharacters = (text) => (clusters ? Array.from(graphemes.segment(text), ({ segment }) => segment) : [...text]);

  /** The tokens of a text: their numbers, and what stands in the text for each. */
  const encode = (text) => {
    const pieces = { word: cutWords, char: cutCharacters, bpe: cutBytes }[cutting.kind](text);
    return { ids: pieces.map((piece) => numbers.get(piece) ?? unknown), pieces };
  };

  // Joining

  const opens = (last) => last === "-" || last === "/" || /[\p{Ps}\p{Pi}]$/u.test(last);
  const ofWord = (letter) => /^[\p{L}\p{M}\p{N}]$/u.test(letter ?? "");
  const fitted = (piece, last) => {
    if (piece.startsWith(space)) return /[\p{Ps}\p{Pi}]$/u.test(last) ? piece.slice(space.length) : piece;
    return ofWord([...last].at(-1)) && ofWord([...piece][0]) ? space + piece : piece;
  };

  /** The text of tokens; the token `vocabulary` + j is the source's piece j. */
  const decode = (tokens, source = []) => {
    const inWords = cutting.kind === "word";
    const found = [];
    for (const token of tokens) {
      if (token === start || token === end) continue;
      const last = found.at(-1) ?? "";
      if (token >= vocabulary) {
        const piece = source[token - vocabulary] ?? "";
        found.push(inWords ? fitted(piece, last) : piece);
      } else if (token === unknown) {
        if (cutting.kind !== "bpe") found.push(inWords && !opens(last) ? `${space}<unk>` : "<unk>");
      } else found.push(words[token] ?? "");
    }
    const text = found.join("");
    if (inWords) {
      const spaced = text.replaceAll(space, " ");
      const bare = spaced.startsWith(" ") ? spaced.slice(1) : spaced;
      return cutting.breaks ? bare.replace(/ ?\n ?/g, "\n") : bare;
    }
    if (cutting.kind === "char") return text;
    const raw = Uint8Array.from([...text].filter((letter) => byteOf.has(letter)), (letter) => byteOf.get(letter));
    return new TextDecoder().decode(raw).replace(/\ufffd|(?![\t\n\r])\p{Cc}/gu, "");
  };

  return { encode, decode };
};

/** The likeliest `beams` beginnings, step by step: the text with the most nats a token (polygan_text's beam search). `step(tokens, rows)`
 * takes each row's last token and the rows that it goes on from, and returns log-probabilities, one array a row. */
polygan.search = async (step, { beams, length, start, end, banned }) => {
  let scores = [0], texts = [[]], rows = [0], best = -Infinity, chosen = [];
  for (let t = 0; t < length; t++) {
    const found = await step(t, texts.map((text) => text.at(-1) ?? start), rows);
    if (!found) return null;
    const top = [];
    found.forEach((values, row) => {
      for (let word = 0; word < values.length; word++) {
        if (word === banned) continue;
        const score = scores[row] + values[word];
        if (top.length === 2 * beams && score <= top.at(-1).score) continue;
        let at = top.length;
        while (at > 0 && top[at - 1].score < score) at--;
        top.splice(at, 0, { score, row, word });
        if (top.length > 2 * beams) top.pop();
      }
    });
    for (const { score, row, word } of top.slice(0, beams)) {
      if (word === end && score / (t + 1) > best) [best, chosen] = [score / (t + 1), [...texts[row], end]];
    }
    const kept = top.filter(({ word }) => word !== end).slice(0, beams);
    texts = kept.map(({ row, word }) => [...texts[row], word]);
    rows = kept.map(({ row }) => row);
    scores = kept.map(({ score }) => score);
    if (!kept.length || best >= scores[0] / length) break;
  }
  scores.forEach((score, row) => {
    if (score / length > best) [best, chosen] = [score / length, texts[row]];
  });
  return chosen;
};
