"""One language's speech in another: recognise a prompt, translate its words, and speak them with the first speaker's voice.

    python examples/other_language.py speech-en speech-it --voices runs/tacotron2-voices --out spoken/
    python examples/other_language.py speech-en speech-it                      # translates the transcripts and speaks nothing

Both folders have the LJSpeech layout, and the ids of prompts that say the same agree. ``--voices`` is a run of ``audio/tacotron2`` that
was trained on both speakers: put both folders below one folder, and train with ``--data.speakers folders --model.symbols phonemes
--model.language en,it``. The speaker's name is then the name of the folder. The translation is read in the second speaker's
language with the first speaker's voice; ``--language`` names another one. This needs nltk, and for speech pocketsphinx and resemblyzer.

The domain is closed. The recogniser has a grammar of all English prompts, so it hears no other sentence. The translation is a phrase
table (Koehn et al. 2003): words of the training prompts are aligned (IBM model 2, both ways, Brown et al. 1993), consistent phrases are
counted, and a decoder with bigrams of words puts them together. A tenth of the prompts is held out from all of this. The script prints
which share of the words of held-out prompts is right, beside two translations that only remember: the translation of the nearest
training prompt, and with ``--direct`` a network trained on the pairs of texts (``text/seq2seq``). On the Asterisk prompts (462 pairs to
learn from, 54 held out) the phrase table had 57 % of the words right, the nearest prompt's translation 47 %, and the network 33 %.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from nltk.translate import AlignedSent, IBMModel2, PhraseTable, StackDecoder
from nltk.translate.gdfa import grow_diag_final_and
from nltk.translate.phrase_based import phrase_extraction

import polygan
from polygan_audio.data import files
from polygan_audio.scores import measures, speaker, word_errors
from polygan_speech.tacotron2 import TextToSpeech

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygan import Run

Words = list[str]
Pair = tuple[Words, Words]
LONGEST = 7  # words of a phrase
UNKNOWN = -3.0  # log-probability of a word that stays as it is


def words_of(text: str) -> Words:
    """Small words without punctuation; ``quell'operatore`` is one word."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*'?|\d+", text.lower().replace("’", "'"))


def transcripts(folder: Path) -> dict[str, str]:
    """The text of each id in a folder of the LJSpeech layout."""
    lines = (folder / "metadata.csv").read_text("utf-8-sig").splitlines()
    return {name: text for name, _, text in (line.partition("|") for line in lines)}


def split(source: dict[str, str], target: dict[str, str], share: float = 0.105) -> tuple[list[str], list[str]]:
    """Ids that both have, in a random order that is always the same: to learn from, and held out."""
    names = sorted(name for name in source.keys() & target if words_of(source[name]) and words_of(target[name]))
    random.Random(0).shuffle(names)
    count = max(1, round(len(names) * share))
    return names[count:], names[:count]


class Bigrams:
    """Words after words, with one pseudo-count spread over the words alone: the language model that the decoder asks."""

    def __init__(self, sentences: Sequence[Words]) -> None:
        self.single, self.pairs, self.firsts = Counter[str](), Counter[tuple[str, str]](), Counter[str]()
        for sentence in sentences:
            for first, second in zip(["", *sentence], sentence, strict=False):
                self.single[second] += 1
                self.pairs[first, second] += 1
                self.firsts[first] += 1
        self.total = sum(self.single.values())

    def log_probability(self, first: str, second: str) -> float:
        """Of ``second`` after ``first``; a first word that is empty begins a sentence."""
        alone = (self.single[second] + 0.5) / (self.total + 0.5 * (len(self.single) + 1))
        return math.log((self.pairs[first, second] + 2 * alone) / (self.firsts[first] + 2))

    def probability_change(self, hypothesis, phrase: Sequence[str]) -> float:
        """What a phrase adds to a hypothesis of nltk's decoder."""
        so_far = hypothesis.translation_so_far() if hypothesis else []
        before = [so_far[-1] if so_far else "", *phrase]
        return sum(map(self.log_probability, before, phrase))

    def probability(self, phrase: Sequence[str]) -> float:
        """Of a phrase out of context."""
        return sum(map(self.log_probability, phrase[:-1], phrase[1:])) + math.log(
            (self.single[phrase[0]] + 0.5) / (self.total + 1)
        )


class PhraseTranslator:
    """A phrase table and a decoder, learned from pairs of sentences."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.table = PhraseTable()
        counts = phrases_of(pairs)
        totals = Counter(phrase for found in counts.values() for phrase in found.elements())
        for source, found in counts.items():
            number = found.total()
            for target, count in found.most_common(10):
                self.table.add(source, target, math.log(count / number) + 0.5 * math.log(count / totals[target]))
        self.decoder = StackDecoder(self.table, Bigrams([target for _, target in pairs]))
        self.decoder.distortion_factor = 0.02
        self.decoder.stack_size = 50

    def __call__(self, sentence: Words) -> Words:
        """The words in the other language. A word that no phrase knows stays as it is."""
        for word in sentence:
            if (word,) not in self.table:
                self.table.add((word,), (word,), UNKNOWN)
        return list(self.decoder.translate(sentence))


def phrases_of(pairs: Sequence[Pair]) -> dict[tuple[str, ...], Counter[tuple[str, ...]]]:
    """How often each phrase of the first language is consistently aligned with each of the second."""
    forward = [AlignedSent(target, source) for source, target in pairs]
    backward = [AlignedSent(source, target) for source, target in pairs]
    for corpus in (forward, backward):
        IBMModel2(corpus, 8)
    counts: dict[tuple[str, ...], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for (source, target), one, two in zip(pairs, forward, backward, strict=True):
        there = " ".join(f"{i}-{j}" for j, i in one.alignment if i is not None)
        back = " ".join(f"{i}-{j}" for i, j in two.alignment if j is not None)
        both = list(grow_diag_final_and(len(source), len(target), there, back))
        for *_, found, meant in phrase_extraction(" ".join(source), " ".join(target), both, LONGEST):
            counts[tuple(found.split())][tuple(meant.split())] += 1
    return counts


def nearest(sentence: Words, pairs: Sequence[Pair]) -> Words:
    """The translation of the training prompt that fewest edits turn into ``sentence``, relative to the longer one."""
    return min(pairs, key=lambda pair: word_errors.edits(sentence, pair[0]) / max(len(sentence), len(pair[0])))[1]


def direct(pairs: Sequence[Pair], sentences: Sequence[Words], folder: Path, steps: int) -> list[Words]:
    """What a network makes of the sentences that was trained on the pairs of texts alone."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("source", "target"), *((" ".join(a), " ".join(b)) for a, b in pairs)])
    data = {"source": str(folder / "pairs.csv"), "given": "source", "column": "target", "held_out": 0.1}
    options = {"batch_size": max(2, min(16, len(pairs) // 10)), "runs": str(folder / "runs"), "name": "seq2seq"}
    run = polygan.train("text/seq2seq", data=data, steps=steps, quiet=True, **options)
    made = run.convert_lines([" ".join(sentence) for sentence in sentences])
    return [words_of(line) for samples in made for line in run.domain.lines(samples)]


def share_right(texts: Sequence[Words], made: Sequence[Words]) -> float:
    """The share of the words of ``texts`` that ``made`` has too, in any order."""
    right = sum((Counter(text) & Counter(other)).total() for text, other in zip(texts, made, strict=True))
    return right / sum(map(len, texts))


def recognise(clips: Sequence[torch.Tensor], rate: int, prompts: Sequence[Words]) -> list[Words]:
    """Which of the prompts pocketsphinx's English model hears in clips (T_i,) in [-1, 1]; none where it hears no prompt.

    A word that the model cannot pronounce is left out of the grammar, and comes back with the prompt that was heard.
    """
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=word_errors.RATE, lm=None, loglevel="FATAL")
    rules = {" ".join(word for word in p if decoder.lookup_word(word)): p for p in prompts}
    rules.pop("", None)
    decoder.add_jsgf_string(
        "prompts", f"#JSGF V1.0;\ngrammar prompts;\npublic <prompt> = {' | '.join(sorted(rules))};\n"
    )
    decoder.activate_search("prompts")
    heard = []
    for clip in clips:
        pcm = (measures.resampled(clip, rate, word_errors.RATE).clamp(-1, 1) * 32767).round().short()
        decoder.start_utt()
        decoder.process_raw(pcm.numpy().tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        heard.append(rules.get(hypothesis.hypstr, hypothesis.hypstr.split()) if hypothesis else [])
    return heard


def clips_of(folder: Path, names: Sequence[str]) -> tuple[list[torch.Tensor], int]:
    """The recordings of these ids, and their sample rate in Hz."""
    found = [next(folder.glob(f"wavs/{name}.*")) for name in names]
    read = [files.read(path, 0, files.header(path).frames, word_errors.RATE) for path in found]
    return [torch.from_numpy(samples) for samples, _ in read], word_errors.RATE


def speak(run: Run, voice: str, language: str, sentences: Sequence[Words], vocoder: str) -> list[torch.Tensor]:
    """The sentences (T_i,) at the run's sample rate, read in a language and in the voice of a speaker that the run knows."""
    texts = [" ".join(words) for words in sentences]
    return list(run.generate(given=texts, speaker=voice, language=language, vocoder=vocoder).data)


def language_of(run: Run, voice: str) -> str:
    """The language that a speaker of the run speaks; empty where the run does not know the speaker."""
    recipe = run.recipe
    assert isinstance(recipe, TextToSpeech)
    return recipe.languages.of(recipe.classes.index(voice)) if voice in recipe.classes else ""


def translated(source: Path, target: Path, steps: int, out: Path) -> tuple[list[str], list[Words], PhraseTranslator]:
    """Held-out ids with what the phrase table makes of their transcripts; prints each way's share of right words."""
    texts, others = transcripts(source), transcripts(target)
    learned, held = split(texts, others)
    pairs = [(words_of(texts[name]), words_of(others[name])) for name in learned]
    given, truth = [words_of(texts[name]) for name in held], [words_of(others[name]) for name in held]
    translator = PhraseTranslator(pairs)
    made = [translator(sentence) for sentence in given]
    print(f"{len(pairs)} prompts to learn from, {len(held)} held out: share of right words")
    print(f"  phrase table            {share_right(truth, made):.3f}")
    print(f"  nearest training prompt {share_right(truth, [nearest(words, pairs) for words in given]):.3f}")
    if steps:
        print(
            f"  {f'text/seq2seq, {steps} steps':23s} {share_right(truth, direct(pairs, given, out / 'direct', steps)):.3f}"
        )
    for words, other in list(zip(given, made, strict=True))[:5]:
        print(f"  {' '.join(words)} -> {' '.join(other)}")
    return held, made, translator


def similarities(run: Run, sounds: Sequence[torch.Tensor], folders: Sequence[Path], held: Sequence[str]) -> None:
    """Print how similar spoken sentences and held-out recordings are to the mean voice of each folder's other recordings."""
    voice, own = speaker.load(speaker.weights_file()), run.recipe.info["sample_rate"]
    given = {"spoken": (sounds, own), "recordings": clips_of(folders[0], held)}
    found = {label: voice.embeddings(clips, rate) for label, (clips, rate) in given.items()}
    for rank, folder in zip(("first", "second"), folders, strict=True):
        rest = [name for name in sorted(transcripts(folder)) if name not in held][:60]
        clips, rate = clips_of(folder, rest)
        mean = voice.embeddings(clips, rate).mean(0)
        for label, others in found.items():
            alike = torch.cosine_similarity(others, mean[None]).mean().item()
            print(f"similarity of the {label} to the {rank} speaker's voice {alike:.3f}")


def spoken(held: Sequence[str], translator: PhraseTranslator, given: argparse.Namespace) -> None:
    """Recognise the held-out clips, translate what was heard, speak it in the first speaker's voice, and print the scores."""
    source, target, out = given.source, given.target, given.out
    texts, others = transcripts(source), transcripts(target)
    clips, rate = clips_of(source, held)
    heard = recognise(clips, rate, [word_errors.words(text) for text in texts.values()])
    wrong = word_errors.error_rate([texts[name] for name in held], [" ".join(words) for words in heard])
    made = [translator(words) or ["?"] for words in heard]
    print(f"word errors of the recogniser {wrong:.3f}")
    print(f"share of right words {share_right([words_of(others[name]) for name in held], made):.3f}")
    run = polygan.load(given.voices, step=given.step)
    language = given.language or language_of(run, target.name)
    sounds = speak(run, source.name, language, made, given.vocoder)
    out.mkdir(parents=True, exist_ok=True)
    for name, sound in zip(held, sounds, strict=True):
        files.write(out / f"{name}.wav", sound, run.recipe.info["sample_rate"])
    similarities(run, sounds, (source, target), held)


def main(arguments: Sequence[str] | None = None) -> None:
    """Translate the held-out prompts, and speak them where there is a run that can."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="recordings in English, with transcripts")
    parser.add_argument("target", type=Path, help="the same prompts in another language")
    parser.add_argument("--voices", default="", help="a run of audio/tacotron2 that knows both speakers")
    parser.add_argument("--step", type=int, help="the checkpoint of that run; else the newest")
    parser.add_argument("--language", default="", help="read the translation in it; else the second speaker's language")
    parser.add_argument("--vocoder", default="griffin-lim")
    parser.add_argument(
        "--direct", type=int, default=0, metavar="STEPS", help="train text/seq2seq for so many steps, too"
    )
    parser.add_argument("--out", type=Path, default=Path("spoken"))
    given = parser.parse_args(arguments)
    held, _, translator = translated(given.source, given.target, given.direct, given.out)
    if given.voices:
        spoken(held, translator, given)


if __name__ == "__main__":
    main()
