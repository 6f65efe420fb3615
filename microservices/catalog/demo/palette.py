"""The colours of the house: one name per flavour, so that a picture is written like a recipe."""

from dataclasses import dataclass

FLAVOURS: dict[str, str] = {
    "acai": "#5b2a5e",
    "apple": "#d9a441",
    "bread": "#d9964e",
    "brick": "#b5613c",
    "butter": "#f3d48b",
    "caramel": "#c9772b",
    "carrot": "#ee9440",
    "cherry": "#c3293f",
    "chocolate": "#6b3a26",
    "cocoa": "#54301f",
    "coconut": "#fffaf0",
    "corn": "#f5c64f",
    "cream": "#fff1d6",
    "dark": "#40241a",
    "dough": "#eec48a",
    "dulce": "#c98445",
    "egg": "#f9b92e",
    "fig": "#6d7f3a",
    "gold": "#d8a441",
    "grape": "#9bbf4d",
    "guava": "#cf4a44",
    "lemon": "#f7dd5a",
    "lilac": "#b79ad0",
    "lime": "#b9d46a",
    "mint": "#9fd3b8",
    "nut": "#b97b45",
    "paper": "#f7ead6",
    "passion": "#f7b928",
    "peanut": "#d6a05e",
    "petrol": "#2f7377",
    "pink": "#f29bab",
    "pistachio": "#a9bd6b",
    "plum": "#4a2436",
    "raspberry": "#d64a74",
    "rose": "#f7c6c9",
    "strawberry": "#e4525c",
    "tea": "#7fa88b",
    "toast": "#b8713a",
    "velvet": "#a92c33",
    "vanilla": "#fbe6b0",
    "white": "#fffdf8",
    "wicker": "#c4914f",
    "wine": "#7d2340",
}

LEAF = "#5f9a4a"
SPRINKLES = ("#f29bab", "#f7dd5a", "#8cc9c4", "#fffdf8", "#e4525c")


@dataclass(frozen=True, slots=True)
class Picture:
    """A recipe for a drawing: a shape, the flavours of its body and its top, and a topping."""

    shape: str
    base: str
    top: str
    topping: str = ""


def blend(colour: str, other: str, share: float) -> str:
    """Mix `share` (0 to 1) of `other` into `colour`; both are #rrggbb."""
    pairs = ((int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def darker(colour: str, share: float = 0.2) -> str:
    """Shade with a warm brown: pure black would make the sweets look dirty."""
    return blend(colour, "#3b1a10", share)


def lighter(colour: str, share: float = 0.3) -> str:
    """Light with a warm white; chocolate takes caramel instead, which keeps it from going grey."""
    dark = sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) < 340
    return blend(colour, "#e0a06a" if dark else "#fff9ee", share)
