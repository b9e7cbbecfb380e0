"""Text for polygan: the domain, SeqGAN, made-up languages and metrics.

Only data stands here: `polygan list` imports this module and must not import torch.
"""

from __future__ import annotations

from polygan import DatasetSpec, DomainSpec, FormatSpec, MetricSpec, RecipeSpec, hookimpl

POLYGAN_API = 2


@hookimpl
def polygan_domains() -> list[DomainSpec]:
    return [
        DomainSpec(
            "text",
            "polygan_text.domain:TextDomain",
            "text: lines, CSV, TSV or JSON lines; words, characters or byte pairs",
        )
    ]


@hookimpl
def polygan_recipes() -> list[RecipeSpec]:
    return [
        RecipeSpec(
            "text/seqgan",
            "polygan_text.seqgan:SeqGAN",
            "policy gradient with Monte-Carlo rollouts; LSTM or GPT-2 style; class-conditional; reward controls",
            "Yu et al. 2017, arXiv:1609.05473",
            ("conditional",),
        ),
        RecipeSpec(
            "text/residual",
            "polygan_text.residual:Residual",
            "maximum likelihood, then a discriminator that chooses among the policy's texts; the choice has a likelihood",
            "Deng et al. 2020, arXiv:2004.11714",
            ("conditional",),
        ),
        RecipeSpec(
            "text/leakgan",
            "polygan_text.leakgan:LeakGAN",
            "a manager sets goals from the discriminator's features, a worker writes; the paper's equations or the authors' program",
            "Guo et al. 2018, arXiv:1709.08624",
        ),
        RecipeSpec(
            "text/seq2seq",
            "polygan_text.seq2seq:Seq2Seq",
            "text from text: summaries, comments, answers; LSTM or transformer that copies; a discriminator of pairs",
            "See et al. 2017, arXiv:1704.04368",
            ("pairs",),
        ),
    ]


@hookimpl
def polygan_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            "oracle",
            "text",
            "polygan_text.datasets:oracle",
            "sequences of a random LSTM, which also scores generated sequences (the synthetic task of SeqGAN)",
            settings="polygan_text.data.settings:OracleSettings",
        ),
        DatasetSpec(
            "grammar",
            "text",
            "polygan_text.datasets:grammar",
            "English sentences of a small grammar with known likelihoods; --data.label_column mood for classes",
            settings="polygan_text.data.settings:MadeUpSettings",
        ),
        DatasetSpec(
            "debian",
            "text",
            "polygan_text.datasets:debian",
            "one-line summaries of Debian packages, made from long descriptions; --data.file Translation-en.xz",
            settings="polygan_text.data.settings:DebianSettings",
        ),
    ]


@hookimpl
def polygan_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            "text/nll-held-out",
            "polygan_text.likelihoods:nll_held_out",
            "nats a token of held-out text; lower is better",
        ),
        MetricSpec(
            "text/nll-oracle",
            "polygan_text.likelihoods:nll_oracle",
            "nats a token of generated sequences under the oracle, beside the oracle's own sequences",
            "Yu et al. 2017, arXiv:1609.05473",
        ),
        MetricSpec(
            "text/bleu",
            "polygan_text.metrics:bleu",
            "BLEU-2 to -5 against held-out text; higher is better",
            "Papineni et al. 2002",
        ),
        MetricSpec(
            "text/self-bleu",
            "polygan_text.metrics:self_bleu",
            "BLEU of samples against each other; lower is more varied",
            "Zhu et al. 2018, arXiv:1802.01886",
        ),
        MetricSpec(
            "text/embedding-distance",
            "polygan_text.scores.embedding_distance:embedding_distance",
            "Frechet distance of sentence embeddings (--features lsa, minilm or a folder); lower is better",
            "Heusel et al. 2017, arXiv:1706.08500",
        ),
        MetricSpec(
            "text/novelty",
            "polygan_text.scores.novelty:novelty",
            "share of 4-grams that no training text has; near the floor is better",
        ),
        MetricSpec(
            "text/rouge",
            "polygan_text.scores.rouge:rouge",
            "ROUGE-1, -2 and -L against the truth of each text; higher is better",
            "Lin 2004",
            needs_pairs=True,
        ),
        MetricSpec(
            "text/distinct",
            "polygan_text.metrics:distinct",
            "share of different n-grams, and repeated texts",
            "Li et al. 2016, arXiv:1510.03055",
        ),
        MetricSpec("text/entropy", "polygan_text.metrics:entropy", "entropy of tokens and of pairs of tokens, in nats"),
        MetricSpec(
            "text/grammatical",
            "polygan_text.metrics:grammatical",
            "share of sentences that the grammar of the set `grammar` can write",
        ),
        MetricSpec(
            "text/temperature-sweep",
            "polygan_text.metrics:temperature_sweep",
            "quality against diversity, beside the maximum-likelihood start",
            "Caccia et al. 2020, arXiv:1811.02549",
        ),
    ]


@hookimpl
def polygan_formats() -> list[FormatSpec]:
    what = "a folder that AutoModelForCausalLM and AutoTokenizer of transformers open; for --model.policy gpt2 or a pretrained folder"
    target = "polygan_text.formats.transformers:export"
    found = [FormatSpec(recipe, "transformers", "export", target, what) for recipe in ("text/seqgan", "text/residual")]
    step = "a step from the last token and a state to the next token's logits"
    for recipe in ("text/seqgan", "text/residual", "text/leakgan"):
        target = "polygan_text.formats.policies"
        found += [
            FormatSpec(recipe, "onnx", "export", f"{target}:onnx", f"one ONNX file: {step}"),
            FormatSpec(recipe, "pt2", "export", f"{target}:program", f"a program for torch.export.load: {step}"),
        ]
    both = "an encoder of the source, and a step from the last token and a state to log-probabilities"
    target = "polygan_text.formats.rewriting"
    return [
        *found,
        FormatSpec("text/seq2seq", "onnx", "export", f"{target}:onnx", f"two ONNX files: {both}"),
        FormatSpec("text/seq2seq", "pt2", "export", f"{target}:program", f"two programs for torch.export.load: {both}"),
    ]
