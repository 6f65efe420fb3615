"""What lies on top: small things drawn around the origin, about 40 units across."""

from collections.abc import Callable, Iterable

from catalog.demo.palette import LEAF, SPRINKLES
from catalog.demo.shapes.pen import (
    Point,
    circle,
    dashes,
    dots,
    ellipse,
    gloss,
    line,
    path,
    place,
    repeat,
    strewn,
)


def _strawberry() -> str:
    return (
        path("M0 24C-20 12-24-14-12-18-6-20-3-17 0-17S6-20 12-18C24-14 20 12 0 24Z", "#e0434f")
        + dots([(-9, -5), (0, -8), (9, -5), (-5, 4), (5, 4), (0, 12)], "#fbd38a", 3)
        + path("M0-15l-15-4 9-1-5-8 8 4 3-8 3 8 8-4-5 8 9 1Z", LEAF)
    )


def _cherry() -> str:
    stem = line("M2-14Q6-32 18-38", "#6b7f3a", 3)
    return stem + circle(0, 2, 17, "#c3293f") + gloss("M-9-3Q-7-9-2-10", 0.6, 4)


def _blueberry() -> str:
    crown = path("M0-9l3 5 5 0-4 4 2 5-6-3-6 3 2-5-4-4 5 0Z", "#3d4f8a")
    return circle(0, 0, 14, "#5a6fb0") + crown


def _raspberry() -> str:
    grains = strewn(9, 0, 0, 13, 14)
    return circle(0, 0, 15, "#b8325c") + dots(grains, "#dc5d86", 9) + dots(grains, "#f09ab5", 3)


def _berries() -> str:
    return (
        place(_blueberry(), 15, 6, 0.8) + place(_raspberry(), -14, 6, 0.9) + place(_mint(), 0, -8)
    )


def _mint() -> str:
    leaf = path("M0 0C-4-14-20-18-26-12-22 0-10 4 0 0Z", LEAF)
    return leaf + path("M0 0C4-14 16-20 24-15 22-2 10 4 0 0Z", "#77b25e")


def _lemon() -> str:
    spokes = "M0-14V14M-14 0H14M-10-10L10 10M-10 10L10-10"
    return (
        circle(0, 0, 22, "#eebf2e")
        + circle(0, 0, 18.5, "#fffbe6")
        + circle(0, 0, 16, "#f7dd5a")
        + line(spokes, "#fffbe6", 2)
    )


def _banana() -> str:
    core = dots([(-4, -1), (4, -1), (0, 4)], "#8d6a35", 3)
    return ellipse(0, 2, 21, 15, "#dcb458") + ellipse(0, 0, 21, 15, "#fbe9ab") + core


def _walnut() -> str:
    lobes = "M0-20C-16-22-24-6-18 6-16 16-6 20 0 18 6 20 16 16 18 6 24-6 16-22 0-20Z"
    folds = "M0-18V16M-6-14Q-14-8-8-2T-7 11M6-14Q14-8 8-2T7 11"
    return path(lobes, "#c58f52") + line(folds, "#8d5a2b", 3)


def _peanut() -> str:
    halves = "M0-22C-12-22-13-6-9 0-14 8-10 22 0 22S14 8 9 0C13-6 12-22 0-22Z"
    return path(halves, "#e3b877") + line("M0-14V14", "#b9854a", 2.5)


def _clove() -> str:
    bud = circle(0, -13, 6, "#6b3a26") + path("M-10-8L0-14 10-8 4-4H-4Z", "#5a2d1b")
    return bud + line("M0-6V10", "#5a2d1b", 5)


def _grape() -> str:
    return circle(0, 0, 20, "#9bbf4d") + gloss("M-11-4Q-8-12 0-13", 0.6, 4)


def _prune() -> str:
    body = path("M-24 2C-22-16 20-20 24 0 20 18-20 18-24 2Z", "#40203a")
    return body + line("M-14 2Q0-8 14 2", "#6b3c60", 3) + gloss("M-14-6Q-8-11 0-11", 0.3, 4)


def _swirl() -> str:
    """A rosette of whipped cream."""
    return (
        ellipse(0, 10, 26, 13, "#fff4df")
        + ellipse(1, 0, 19, 11, "#fffaf0")
        + path("M-12-5Q-4-14 3-24 14-14 12-4Q0 3-12-5Z", "#fffdf8")
        + line("M-20 14Q0 21 22 9M-13 3Q2 9 16-1", "#ead7b8", 3)
    )


def _meringue() -> str:
    """A peak of toasted meringue."""
    return (
        path("M-26 14C-30-2-12-4 1-30 8-8 30-2 26 14 14 24-14 24-26 14Z", "#fffaf0")
        + path("M-8-9Q-2-18 1-30 6-17 11-9 2-2-8-9Z", "#d9a05b")
        + line("M-18 8Q-2 16 18 5", "#ecd9ba", 3)
    )


def _heart() -> str:
    return path("M0 18C-30-2-18-22-5-16Q-1-14 0-9 1-14 5-16C18-22 30-2 0 18Z", "#d9404f")


def _guava() -> str:
    return path("M-18-10L12-14 20 8-12 13Z", "#cf4a44") + path(
        "M-18-10L12-14 15-6-14-2Z", "#e2716a"
    )


def _biscuit() -> str:
    holes = dots([(-9, -3), (0, -4), (9, -3), (-5, 6), (5, 6)], "#8d5a2b", 3)
    return circle(0, 2, 21, "#b9794a") + circle(0, 0, 21, "#dba866") + holes


def _fig() -> str:
    body = "M-3-28H4Q8-14 16-6C32 12 16 28 0 28S-32 12-16-6Q-6-16-3-28Z"
    ribs = line("M0-20V22M-5-12Q-16 4-10 20M5-12Q16 4 10 20", "#4f6428", 2.5)
    return path(body, "#7d9142") + ribs


def _gold() -> str:
    return dashes(strewn(7, 0, 0, 18, 10), ["#e9bf55"], 5, 4)


_TOPPINGS: dict[str, Callable[[], str]] = {
    "banana": _banana,
    "berries": _berries,
    "biscuit": _biscuit,
    "blueberry": _blueberry,
    "cherry": _cherry,
    "clove": _clove,
    "fig": _fig,
    "gold": _gold,
    "grape": _grape,
    "guava": _guava,
    "heart": _heart,
    "lemon": _lemon,
    "meringue": _meringue,
    "mint": _mint,
    "peanut": _peanut,
    "prune": _prune,
    "raspberry": _raspberry,
    "strawberry": _strawberry,
    "swirl": _swirl,
    "walnut": _walnut,
}

_GRAINS: dict[str, tuple[tuple[str, ...], float, float]] = {
    "cinnamon": (("#a8653a", "#7d4527"), 1, 4),
    "coconut": (("#fffdf8", "#f1e2c8"), 13, 4),
    "crumbs": (("#e0b06c", "#b9794a"), 4, 8),
    "fruits": (("#5b2a4a", "#f3a03c", "#7fae3c"), 3, 10),
    "nuts": (("#d9a866", "#a96f38"), 5, 9),
    "pistachios": (("#8ba34a", "#c1d183"), 5, 8),
    "seeds": (("#2f2118",), 3, 7),
    "shot": (("#4a281a", "#8a5236"), 13, 6),
    "snow": (("#ffffff",), 1, 5),
    "sprinkles": (SPRINKLES, 12, 6),
    "sugar": (("#fffdf8",), 1, 4),
}


def topping(name: str, x: float, y: float, scale: float = 1, turn: float = 0) -> str:
    """One topping at (x, y); a name that is not a single thing draws nothing."""
    return place(_TOPPINGS[name](), x, y, scale, turn) if name in _TOPPINGS else ""


def toppings(name: str, points: Iterable[Point], scale: float = 1) -> str:
    """The same topping at every point."""
    if name not in _TOPPINGS:
        return ""
    return repeat(_TOPPINGS[name](), ((x, y, scale) for x, y in points))


def grains(name: str, count: int, x: float, y: float, rx: float, ry: float) -> str:
    """Sprinkle an ellipse with a grained topping; other names draw nothing."""
    return strew(name, strewn(count, x, y, rx, ry))


def strew(name: str, points: Iterable[Point]) -> str:
    """Put one grain of a grained topping on each point; other names draw nothing."""
    if name not in _GRAINS:
        return ""
    colours, length, width = _GRAINS[name]
    return dashes(points, colours, length, width)
