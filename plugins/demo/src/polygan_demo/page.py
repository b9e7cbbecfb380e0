"""The page: components for what a run can do, each of which calls `playing.play` with the values of all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from . import components, showing
from .playing import BETWEEN, DATA, GIVEN, MOST, SEED, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .abilities import Given
    from .stage import Stage

BUTTONS = 24
"""The most buttons of classes at once; more classes have a search box."""
FAR = 4
"""How far a slider goes along a direction, in standard deviations of the latents."""
_ONE = {"concurrency_limit": 1, "concurrency_id": "run"}
_RANDOM = "() => Math.floor(Math.random() * 2 ** 31)"
CSS = Path(__file__).with_name("page.css")


class _Controls:
    """The components whose values `play` gets, by name, and the events that make new samples at once."""

    def __init__(self) -> None:
        self.by_name: dict[str, Any] = {}
        self.events: list[Any] = []

    def add(self, name: str, component: Any, *events: str) -> Any:
        self.by_name[name] = component
        self.events += [getattr(component, event) for event in events]
        return component


def build_page(stage: Stage) -> gr.Blocks:
    """The page of a run, to be served. Nothing is sent anywhere: Gradio's analytics are off."""
    controls = _Controls()
    with gr.Blocks(title=f"{stage.run.folder.name} · polygan", analytics_enabled=False) as page:
        gr.HTML(showing.head_html(stage.run))
        with gr.Row(elem_classes="pg-main"):
            with gr.Column(scale=5, min_width=320):
                _modes(stage, controls)
                if stage.can.classes:
                    _classes(stage, controls)
                if stage.can.latent:
                    _directions(stage, controls)
                _options(stage, controls)
            with gr.Column(scale=7, min_width=320):
                result = gr.HTML(elem_id="made", min_height=320)
        with gr.Accordion("About this run", open=True):
            gr.HTML(showing.about_html(stage.run))
        names = list(controls.by_name)

        def played(*values: Any) -> Iterator[str]:
            yield from play(stage, dict(zip(names, values, strict=True)))

        gr.on(
            [*controls.events, page.load],
            played,
            [*controls.by_name.values()],
            result,
            trigger_mode="always_last",
            show_progress="minimal",
            api_name="play",
            **_ONE,
        )
    return page


def _modes(stage: Stage, controls: _Controls) -> None:
    """A tab for each way to make samples. The open tab is the value of a hidden text."""
    can = stage.can
    tabs = {
        SEED: (can.from_noise, "From a seed", _seed_tab),
        BETWEEN: (can.latent is not None, "Between two seeds", _between_tab),
        GIVEN: (can.given is not None, "From your own", _given_tab),
        DATA: (can.given is not None and stage.has_data, "From the data", _data_tab),
    }
    shown = {mode: (title, build) for mode, (there, title, build) in tabs.items() if there}
    mode = controls.add("mode", gr.Textbox(next(iter(shown)), visible="hidden", elem_id="mode"), "change")
    with gr.Tabs():
        for name, (title, build) in shown.items():
            with gr.Tab(title, id=name) as tab:
                build(stage, controls)
            tab.select(None, None, mode, js=f"() => '{name}'")


def _seed(controls: _Controls, name: str, label: str, value: int) -> None:
    """A seed, with a button for another one."""
    with gr.Row(equal_height=True, elem_classes="pg-seed"):
        seed = controls.add(name, gr.Number(value, precision=0, label=label, scale=3), "change")
        gr.Button("New seed", scale=1, min_width=110).click(None, None, seed, js=_RANDOM)


def _seed_tab(stage: Stage, controls: _Controls) -> None:
    _seed(controls, "seed", "Seed", 0)
    usual = 4 if stage.can.one_by_one else 9
    controls.add("n", gr.Slider(1, MOST, usual, step=1, label="Samples"), "change")


def _between_tab(stage: Stage, controls: _Controls) -> None:
    _seed(controls, "from", "From seed", 0)
    _seed(controls, "to", "To seed", 1)
    controls.add("place", gr.Slider(0, 1, 0.5, step=0.02, label="Place on the way"), "change")


def _given_tab(stage: Stage, controls: _Controls) -> None:
    given = stage.can.given
    assert given is not None
    if given.pictures:
        controls.add("picture", components.picture(), "change")
    if given.sounds:
        controls.add("sound", components.sound(), "change")
    if given.text:
        hint = "A text; each line is one."
        controls.add("text", gr.Textbox(label="Your text", placeholder=hint, lines=4), "submit")
    if given.others:
        with _folded(given):
            gr.HTML(showing.hint_html(", ".join(given.others)))
            controls.add("file", components.file(given.others), "change")
    make = gr.Button("Make", variant="primary")
    controls.events.append(make.click)


def _folded(given: Given) -> Any:
    """Where a file goes: folded away where there is a better place for what most users have."""
    if given.pictures or given.sounds or given.text:
        return gr.Accordion("Another kind of file", open=False)
    return gr.Group()


def _data_tab(stage: Stage, controls: _Controls) -> None:
    number = controls.add("number", gr.Number(0, precision=0, label="Number of the sample"), "change")
    gr.Button("Next sample").click(None, number, number, js="(number) => number + 1")


def _classes(stage: Stage, controls: _Controls) -> None:
    """A button for each class; where there are many, a search box and the buttons of what was found."""
    classes = stage.can.classes
    first, _ = stage.search("", BUTTONS)
    few = len(classes) <= BUTTONS
    search = None if few else gr.Textbox(label=f"Search {len(classes):,} classes", placeholder="a part of the name")
    chosen = gr.Radio(
        components.buttons(classes, first), value=components.ANY, label="Class", elem_classes="pg-classes"
    )
    controls.add("class", chosen, "change")
    if search is None:
        return

    def found(text: str, kept: int | None) -> Any:
        kept = None if kept is None or kept == components.ANY else int(kept)
        numbers, count = stage.search(text, BUTTONS, kept)
        shown = f"Class ({min(count, BUTTONS):,} of {count:,} found)" if text.strip() else "Class"
        return gr.Radio(components.buttons(classes, numbers), label=shown)

    search.change(
        found, [search, chosen], chosen, trigger_mode="always_last", show_progress="hidden", api_name="classes"
    )


def _directions(stage: Stage, controls: _Controls) -> None:
    """A slider for each direction."""
    if stage.can.directions is None:
        gr.HTML(showing.hint_html(stage.can.why))
        return
    shares, sliders = stage.can.directions.shares, []
    whole = "difference" if stage.intermediate else "change"
    with gr.Accordion("Directions", open=True):
        gr.HTML(showing.part("directions.html", intermediate=stage.intermediate))
        for i in range(stage.moves):
            share = "" if shares is None else f" · {100 * shares[i]:.0f}% of the {whole}"
            slider = gr.Slider(-FAR, FAR, 0, step=0.1, label=f"Direction {i + 1}{share}")
            sliders.append(controls.add(f"direction/{i}", slider, "change"))
        zeros = "0" if len(sliders) == 1 else str([0] * len(sliders))
        gr.Button("All directions to 0", size="sm").click(None, None, sliders, js=f"() => {zeros}")


def _options(stage: Stage, controls: _Controls) -> None:
    if not stage.offered and stage.can.given is None:
        return
    with gr.Accordion("Sampling settings", open=len(stage.offered) <= 4):
        if stage.can.given is not None:
            _seed(controls, "given seed", "Seed", 0)
        for option in stage.offered:
            events = ("submit", "blur") if option.kind == "text" else ("change",)
            controls.add(f"option/{option.name}", components.option_component(option), *events)
