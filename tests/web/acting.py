"""What tests do with a page, and read from it."""

import numpy as np


def pixels(page, canvas="#stage"):
    """What a canvas shows: (H, W, 4) from 0 to 255."""
    size, data = page.evaluate(
        """(name) => { const c = document.querySelector(name);
        return [[c.height, c.width], [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]]; }""",
        canvas,
    )
    return np.array(data, np.float32).reshape(*size, 4)


def drawn(page, act, canvas="#stage"):
    """Do something, and wait until the canvas is drawn anew."""
    before = int(page.get_attribute(canvas, "data-drawn"))
    act()
    page.wait_for_function(
        "([name, before]) => Number(document.querySelector(name).dataset.drawn) > before",
        arg=[canvas, before],
        timeout=30_000,
    )


def slide(page, name, value):
    """Move the slider of this name."""
    page.get_by_label(name, exact=False).first.evaluate(
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); node.dispatchEvent(new Event('change')); }",
        value,
    )
