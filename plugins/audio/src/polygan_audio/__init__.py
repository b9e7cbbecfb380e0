"""Sound for polygan: the domain, vocoders, made-up tones and metrics.

Only data stands here: `polygan list` imports this module and must not import torch.
"""

from __future__ import annotations

from polygan import CommandSpec, DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec, hookimpl

POLYGAN_API = 2


@hookimpl
def polygan_domains() -> list[DomainSpec]:
    return [
        DomainSpec(
            "audio",
            "polygan_audio.data.domain:AudioDomain",
            "sound: a folder of wav, flac, ogg or mp3, the LJSpeech layout, or a named set; one channel",
        )
    ]


@hookimpl
def polygan_recipes() -> list[RecipeSpec]:
    return [
        RecipeSpec(
            "audio/hifigan",
            "polygan_audio.hifigan:HiFiGAN",
            "vocoder: mel spectrogram to waveform by transposed convolutions; V1, V2, V3, exact to the original",
            "Kong et al. 2020, arXiv:2010.05646",
            ("vocoder",),
        ),
        RecipeSpec(
            "audio/vocos",
            "polygan_audio.vocos:Vocos",
            "vocoder: ConvNeXt blocks and an inverse STFT; small by default, fast enough to train on two cores",
            "Siuzdak 2023, arXiv:2306.00814",
            ("vocoder",),
        ),
        RecipeSpec(
            "audio/wavegan",
            "polygan_audio.wavegan:WaveGAN",
            "short sounds from noise: drums, notes, by class or pitch; waveforms, or log-mels for a vocoder",
            "Donahue et al. 2019, arXiv:1802.04208",
        ),
        RecipeSpec(
            "audio/parallel-wavegan",
            "polygan_audio.parallel_wavegan:ParallelWaveGAN",
            "vocoder: a WaveNet without recurrence from noise or a Griffin-Lim waveform, exact to the original; in pieces without delay",
            "Yamamoto et al. 2020, arXiv:1910.11480",
            ("vocoder",),
        ),
        RecipeSpec(
            "audio/griffin-lim",
            "polygan_audio.griffin_lim:GriffinLim",
            "vocoder without training: mel spectrogram to waveform by the fast Griffin-Lim algorithm, the baseline of the others",
            "Perraudin et al. 2013",
            ("vocoder",),
        ),
    ]


@hookimpl
def polygan_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            "tones",
            "audio",
            "polygan_audio.data.datasets:tones",
            "notes with harmonics, chirps and clicks by seed, for tests and first runs; drums and notes with labels",
            settings="polygan_audio.data.settings:TonesSettings",
        ),
        DatasetSpec(
            "shots",
            "audio",
            "polygan_audio.data.datasets:shots",
            "your kits of short sounds, a folder for each class (kick/, snare/): --data shots --data.kits FOLDER",
            settings="polygan_audio.data.settings:ShotsSettings",
        ),
    ]


@hookimpl
def polygan_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            "audio/mel-distance",
            "polygan_audio.scores.metrics:mel_distance",
            "mean absolute difference of log-mels between held-out recordings and their re-synthesis; lower is better",
        ),
        MetricSpec(
            "audio/stft-distance",
            "polygan_audio.scores.metrics:stft_distance",
            "multi-resolution STFT distance of the same; lower is better",
            "Yamamoto et al. 2020, arXiv:1910.11480",
        ),
        MetricSpec(
            "audio/mcd",
            "polygan_audio.scores.metrics:mcd",
            "mel-cepstral distortion of the same in dB; lower is better",
            "Kubichek 1993",
        ),
        MetricSpec(
            "audio/bands",
            "polygan_audio.scores.faults:bands",
            "levels by octave up to half the sample rate, made less recorded, in dB: names missing bands; lower is better",
        ),
        MetricSpec(
            "audio/dc",
            "polygan_audio.scores.faults:offset",
            "constant offset of made clips, as a share of full scale; lower is better",
        ),
        MetricSpec(
            "audio/clipping",
            "polygan_audio.scores.faults:clipping",
            "share of samples at full scale, beside the recordings'; lower is better",
        ),
        MetricSpec(
            "audio/stoi",
            "polygan_audio.scores.metrics:stoi",
            "short-time objective intelligibility of the same, up to 1 (package pystoi); higher is better",
            "Taal et al. 2011",
        ),
        MetricSpec(
            "audio/pesq",
            "polygan_audio.scores.metrics:pesq",
            "perceptual quality of the same, wide band, 1 to 4.64 (package pesq); higher is better",
            "ITU-T P.862.2",
        ),
        MetricSpec(
            "audio/dnsmos",
            "polygan_audio.scores.metrics:dnsmos",
            "mean opinion score that a network predicts for the re-synthesis (package speechmos); higher is better",
            "Reddy et al. 2022, arXiv:2110.01763",
        ),
        MetricSpec(
            "audio/wer",
            "polygan_audio.scores.metrics:wer",
            "share of words of the transcripts that a recogniser gets wrong (package pocketsphinx); lower is better",
        ),
        MetricSpec(
            "audio/speaker",
            "polygan_audio.scores.speech:similarity",
            "cosine of voice embeddings and the speaker's recordings, up to 1 (weights of resemblyzer); higher is better",
            "Wan et al. 2018, arXiv:1710.10467",
        ),
        MetricSpec(
            "audio/speaker-of-source",
            "polygan_audio.scores.speech:similarity_to_source",
            "the same with the voice that was made into another; lower is better",
            "Wan et al. 2018, arXiv:1710.10467",
            needs_sides=True,
        ),
        MetricSpec(
            "audio/mcd-dtw",
            "polygan_audio.scores.speech:mcd_dtw",
            "mel-cepstral distortion in dB after dynamic time warping, for clips of any length; lower is better",
            "Kubichek 1993; Sakoe and Chiba 1978",
        ),
        MetricSpec(
            "audio/duration",
            "polygan_audio.scores.speech:duration",
            "mean |ln ratio| of the lengths of made and recorded clips, silence at the ends aside; lower is better",
        ),
        MetricSpec(
            "audio/sharpness",
            "polygan_audio.scores.speech:sharpness",
            "curvature of log-mels across bands over that of recordings: 1 is as sharp, below 1 is blurred; near 1 is better",
        ),
        MetricSpec(
            "audio/feature-distance",
            "polygan_audio.scores.shots:feature_distance",
            "sounds from noise: Frechet distance of log-mel means from those of training sounds; lower is better",
            "Heusel et al. 2017, arXiv:1706.08500",
            needs_noise=True,
        ),
        MetricSpec(
            "audio/nearest",
            "polygan_audio.scores.shots:nearest",
            "sounds from noise: distance to the nearest training sound against held-out sounds'; 0 is a copy, 1 is new",
            needs_noise=True,
        ),
        MetricSpec(
            "audio/pitch",
            "polygan_audio.scores.shots:pitch",
            "notes from noise: share within 50 cents of the note that was asked for; higher is better",
            "de Cheveigne & Kawahara 2002",
            needs_noise=True,
        ),
        MetricSpec(
            "audio/class-agreement",
            "polygan_audio.scores.shots:class_agreement",
            "sounds from noise: share that the nearest class by log-mels is the class that was asked for; higher is better",
            needs_noise=True,
        ),
    ]


@hookimpl
def polygan_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            "mels",
            "check the scale of given mels beside their recordings, and convert them",
            "polygan_audio.mel_scales.command:main",
        )
    ]


@hookimpl
def polygan_formats() -> list[FormatSpec]:
    program = "a program for torch.export.load"
    forms = (("onnx", "export", "one ONNX file"), ("pt2", "program", program))
    mel, noise = "mel (batch, bands, frames)", "noise (batch, samples)"
    latent = "latent (batch, numbers) and label (batch,) to waveform"
    taken = {"hifigan": mel, "griffin-lim": mel, "vocos": mel, "parallel-wavegan": f"{mel} and {noise}"}
    place = "polygan_audio.formats"
    vocoders = [
        *(
            FormatSpec(
                f"audio/{name}",
                "onnx",
                "export",
                f"{place}.recordings:export",
                f"one ONNX file: {given} to waveform, or a recording with --given recording",
                settings=f"{place}.recordings:Exported",
            )
            for name, given in taken.items()
        ),
        *(
            FormatSpec(
                f"audio/{name}",
                "pt2",
                "export",
                f"{place}.onnx:program",
                f"{program}: {given} to waveform",
            )
            for name, given in taken.items()
        ),
    ]
    return [
        *vocoders,
        *(
            FormatSpec(
                "audio/wavegan", kind, "export", f"{place}.shots:{target}", f"{what}: {latent}", settings=options
            )
            for (kind, target, what), options in zip(forms, ("polygan_audio.shots.settings:Exported", ""), strict=True)
        ),
        FormatSpec(
            "audio/parallel-wavegan",
            "parallel-wavegan",
            "import",
            "polygan_audio.formats.parallel_wavegan:import_parallel_wavegan",
            "the reference implementation's checkpoint-*.pkl with config.yml and stats.h5 or stats.npy beside it",
        ),
        FormatSpec(
            "audio/hifigan",
            "speecht5",
            "export",
            "polygan_audio.formats.speecht5:export",
            "a folder that transformers.SpeechT5HifiGan.from_pretrained opens",
        ),
        FormatSpec(
            "audio/vocos",
            "vocos",
            "import",
            "polygan_audio.formats.vocos:import_vocos",
            "the official code's pytorch_model.bin with config.yaml beside it (charactr/vocos-mel-24khz)",
        ),
        FormatSpec(
            "audio/hifigan",
            "hifigan",
            "import",
            "polygan_audio.formats.either_hifigan:import_either",
            "the official code's g_* with config.json beside it, and its do_*; or a folder of transformers.SpeechT5HifiGan",
        ),
    ]
