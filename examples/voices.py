"""Measure a voice conversion between two speakers on clips that it never heard, beside conversions that need no training.

    python examples/voices.py runs/voice-conversion-voices                       # 12 clips each way, by Griffin-Lim
    python examples/voices.py runs/voice-conversion-voices --vocoder vocos-voices

For each direction the script prints how alike the made clips are to the speaker who is wanted and to the speaker who is given (cosine with
the mean voice embedding of 40 training clips), the word errors of an English recogniser, and an opinion score that a network predicts.
Word errors mean something for English alone. This needs polygan-audio[words,mos], and resemblyzer without its dependencies.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

import polygan
from polygan_audio import vocoding
from polygan_audio.scores import measures, speaker, word_errors
from polygan_speech.conversion.baseline import match_statistics

if TYPE_CHECKING:
    from polygan import Run, Samples

SECONDS = 1.6  # of the shortest clip: that of the voice embedding
REFERENCES = 40


def clips_of(run: Run, split: str, label: int, count: int) -> Samples:
    """The first ``count`` clips of a speaker that are long enough."""
    part, least = run.splits()[split], SECONDS * run.recipe.info["sample_rate"]
    rows = part.rows[part.store.gather("label", part.rows).numpy() == label]
    long = [row for row in rows.tolist() if len(part.store.item("waveform", row)) >= least]
    return run.domain.real(part, np.asarray(long[:count]))


def ways_of(run: Run, given: Samples, source: int, target: int, vocoder: str) -> dict[str, list[torch.Tensor]]:
    """The clips, what Griffin-Lim makes of their mels, two trivial conversions' sounds, and the run's."""
    recipe: Any = run.recipe
    voices, decode = recipe.voices, vocoding.decoder(vocoding.GRIFFIN_LIM, recipe.mel)
    statistics = [(voices.mel_mean[i], voices.mel_deviation[i]) for i in (source, target)]
    mels = [recipe.mel(clip)[:, : len(clip) // recipe.mel.hop_length] for clip in given.data]
    names = recipe.speakers
    alone = polygan.Samples(given.data, run.domain, extra={"sample_rate": recipe.mel.sample_rate})
    made = run.generate(given=alone, speaker=names[target], source=names[source], vocoder=vocoder)
    return {
        "recordings": list(given.data),
        "Griffin-Lim": [decode(mel) for mel in mels],
        "mean, deviation": [decode(match_statistics(mel, *statistics)) for mel in mels],
        "conversion": list(made.data),
    }


def main(path: str, vocoder: str = vocoding.GRIFFIN_LIM, count: int = 12) -> None:
    """Print a table of both directions between the run's first two speakers."""
    run = polygan.load(path)
    recipe: Any = run.recipe
    rate, names = recipe.mel.sample_rate, recipe.speakers
    voice, opinion = speaker.load(speaker.weights_file()), measures.DNSMOS()
    known = [voice.embeddings(clips_of(run, "train", i, REFERENCES).data, rate).mean(0) for i in (0, 1)]
    print(f"{'':16s} {'way':16s} wanted  given  words  DNSMOS")
    for source, target in ((0, 1), (1, 0)):
        given = clips_of(run, "held_out", source, count)
        texts = list(given.extra.get("text", ()))
        for way, sounds in ways_of(run, given, source, target, vocoder).items():
            found = voice.embeddings(sounds, rate)
            near, far = (F.cosine_similarity(found, known[i][None]).mean().item() for i in (target, source))
            words = word_errors.error_rate(texts, word_errors.recognise(sounds, rate)) if texts else float("nan")
            heard = [opinion(measures.resampled(sound, rate, 16_000)) for sound in sounds]
            score = np.mean([one[opinion.names.index("ovrl")] for one in heard])
            print(f"{names[source]} to {names[target]:10s} {way:16s} {near:.3f}   {far:.3f}  {words:.3f}  {score:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--vocoder", default=vocoding.GRIFFIN_LIM)
    parser.add_argument("--clips", type=int, default=12)
    given = parser.parse_args()
    main(given.run, given.vocoder, given.clips)
