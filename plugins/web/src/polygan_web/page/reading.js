"use strict";
// From a text to the numbers of a model's symbols, as polygan_speech reads it in Python. Nothing here knows the page.

polygan.reader = (facts) => {
  const WORD = "[\\p{L}\\p{N}_]"; // what Python's \w is
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  const symbols = [...facts.symbols];
  const DIGITS = 15; // digits of a number that is said as one

  // A text as it is said: numbers and abbreviations in words, small letters

  const QUOTES = { "’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"' };
  const tidy = (text) =>
    text.normalize("NFC")
      .replace(/[’‘`´“”„«»]/g, (sign) => QUOTES[sign])
      .replace(/[–—‐‑−]/g, "-")
      .replaceAll("…", "...")
      .replace(/[\uff01-\uff5e]/g, (sign) => sign.normalize("NFKC"))
      .replace(/[\p{Cc}\p{Zs}\u2028\u2029]/gu, " ")
      .toLowerCase();

  const NUMBER = new RegExp(
    `(?<!${WORD}|[.,])(?<sign>[-−](?=\\d))?(?<before>[$€£]\\s?)?(?<digits>\\d[\\d.,]*\\d|\\d)`
    + `(?<after>\\s?[%$€£]|(?:st|nd|rd|th)(?!${WORD})|[º°ª](?!${WORD}))?(?!${WORD})`, "gu");

  /** Digits in words, as Python says them up to 9,999; others digit by digit, which `plain` notes. */
  const inWords = (language, digits, { ordinal = false, alone = false }, plain) => {
    const { numbers, years, ordinals, point, decimal, drops_zero: drops } = language;
    const comma = point === "." ? "," : ".";
    const one = (text) => [...text].map((digit) => numbers[digit]).join(" ");
    const spelled = (text) => {
      plain.add(text);
      return one(text);
    };
    if (new RegExp(`^\\d{1,3}(?:${escaped(comma)}\\d{3})+(?:${escaped(point)}\\d+)?$`).test(digits)) digits = digits.replaceAll(comma, "");
    if (new RegExp(`^\\d+${escaped(point)}\\d+$`).test(digits) && digits.length <= DIGITS) {
      const [whole, part = "0"] = String(Number(digits.replace(point, "."))).split(".");
      if (part === "0" && drops) return inWords(language, whole, {}, plain);
      if (decimal && Number(whole) < numbers.length && /^\d+$/.test(part)) return `${numbers[whole]} ${decimal} ${one(part)}`;
      plain.add(digits);
    }
    if (!/^\d+$/.test(digits)) return digits.replace(/\d+/g, (part) => inWords(language, part, {}, plain));
    if (digits.length > DIGITS || (digits[0] === "0" && digits.length > 1)) return one(digits);
    const value = Number(digits);
    if (ordinal && value < ordinals.length) return ordinals[value];
    if (ordinal) return spelled(digits);
    if (alone && digits.length === 4 && value >= 1100 && value < 1100 + years.length) return years[value - 1100];
    return value < numbers.length ? numbers[value] : spelled(digits);
  };

  const spoken = (text, language, plain) => {
    text = tidy(text);
    if (language.numbers.length) {
      const shorts = Object.keys(language.abbreviations).sort((a, b) => b.length - a.length);
      for (const short of shorts) {
        const follows = language.before_digits.includes(short) ? "(?=\\s*\\p{Nd})" : `(?!${WORD})`;
        text = text.replace(new RegExp(`(?<!${WORD}|\\.)${escaped(short)}${follows}`, "gu"), () => language.abbreviations[short]);
      }
      text = text.replace(NUMBER, (...found) => {
        const { sign, before, digits, after } = found.at(-1);
        const mark = (before || after || "").trim();
        const ordinal = ["st", "nd", "rd", "th", "º", "ª"].includes(mark);
        const said = inWords(language, digits, { ordinal, alone: !mark }, plain);
        const word = Object.hasOwn(language.signs, mark) ? ` ${language.signs[mark]}` : "";
        return `${sign ? `${language.minus} ` : ""}${said}${word}`;
      });
      text = text.replace(/\d+/g, (digits) => ` ${inWords(language, digits, {}, plain)} `);
      for (const [sign, word] of Object.entries(language.signs)) text = text.replaceAll(sign, () => ` ${word} `);
    }
    return text.trim().split(/\s+/).join(" ").replace(/ +([,.;:!?])/g, "$1").toLowerCase();
  };

  // Sentences, none longer than `most` characters

  const count = (text) => [...text].length;
  const cut = (sentence, most) => {
    if (count(sentence) <= most) return sentence ? [sentence] : [];
    const pieces = [];
    for (const part of sentence.split(/(?<=[,;:-])\s+/)) {
      for (const word of count(part) <= most ? [part] : part.split(/\s+/)) {
        const letters = [...word];
        for (let at = 0; at < letters.length; at += most) {
          const bit = letters.slice(at, at + most).join("");
          const last = pieces.length - 1;
          if (last >= 0 && count(pieces[last]) + 1 + count(bit) <= most) pieces[last] += ` ${bit}`;
          else pieces.push(bit);
        }
      }
    }
    return pieces;
  };
  const sentences = (text, most) =>
    text.split(/(?<=[.!?;:])["')\]]*\s+|(?<=[。！？；])\s*|\n+/).flatMap((sentence) => cut(sentence.trim(), most));

  // Characters

  const FOLDED = 0x3000; // code points from here on are no forms of others
  const numbers = new Map(symbols.map((symbol, i) => [symbol, facts.ids?.[i] ?? 0]));
  const numberOf = (character) => {
    if (numbers.has(character)) return numbers.get(character);
    let like = [];
    if (/\s/.test(character)) like = [" "];
    else if (character.codePointAt(0) < FOLDED) {
      const own = Object.hasOwn(facts.like, character) ? facts.like[character] : character;
      const [plain] = own.normalize("NFKD");
      like = [own, own.toLowerCase(), own.toUpperCase(), plain, plain.toLowerCase(), plain.toUpperCase()];
    }
    const found = numbers.get(like.find((sign) => numbers.has(sign))) ?? 0;
    numbers.set(character, found);
    return found;
  };

  // Phonemes: words by their pronunciations, then IPA in parts

  const TOKEN = /(?<word>[\p{L}\p{N}]+(?:['-][\p{L}\p{N}]+)*)|(?<space>\s+)|(?<other>.)/gu;
  const pronounced = (text, { pronunciations }, unknown, left) => {
    const known = (word) => Object.hasOwn(pronunciations, word);
    const say = (word) => {
      if (known(word)) return pronunciations[word];
      const parts = word.split("-");
      if (parts.length > 1) return parts.map(say).filter(Boolean).join(" ");
      unknown.add(word);
      return "";
    };
    let found = "";
    for (const { groups: { word, space, other } } of text.matchAll(TOKEN)) {
      if (word) found += say(word);
      else if (space) found += " ";
      else if (facts.marks.includes(other)) found += other;
      else if (other !== "'" && other !== "-") left.add(other);
    }
    return found.trim().split(/\s+/).join(" ");
  };
  const bases = new Map(symbols.map((symbol, i) => [symbol, i + 1]));
  const inParts = (ipa) => {
    const parts = (1 + [...facts.stresses].length) * (1 + [...facts.lengths].length);
    const ids = [];
    let stress = 0;
    for (const symbol of ipa) {
      if (facts.stresses.includes(symbol)) stress = 1 + facts.stresses.indexOf(symbol);
      else if (facts.lengths.includes(symbol)) {
        if (ids.length && ids.at(-1) % 3 === 0) ids[ids.length - 1] += 1 + facts.lengths.indexOf(symbol);
      } else if (bases.has(symbol)) {
        ids.push(bases.get(symbol) * parts + stress * 3);
        stress = 0;
      }
    }
    return ids;
  };

  /**
   * The sentences of a text, each with its numbers `ids` and its `text`, none longer than `most` characters, in the language of that number.
   * Also what is not said as written: characters (`left`), words (`unknown`), and numbers that are said digit by digit (`plain`).
   */
  const read = (text, number, most) => {
    const language = facts.languages[number];
    const left = new Set(), unknown = new Set(), plain = new Set();
    const encode = (sentence) => {
      if (facts.kind === "phonemes") return inParts(pronounced(sentence, language, unknown, left));
      const ids = [];
      for (const character of sentence) {
        const id = numberOf(character);
        if (id) ids.push(id);
        else if (!/\s/.test(character)) left.add(character);
      }
      return ids;
    };
    const found = sentences(spoken(text, language, plain), most).map((sentence) => ({ text: sentence, ids: encode(sentence) }));
    return { sentences: found.filter(({ ids }) => ids.length), left: [...left], unknown: [...unknown], plain: [...plain] };
  };

  return { read, spoken: (text, number) => spoken(text, facts.languages[number], new Set()), sentences };
};
