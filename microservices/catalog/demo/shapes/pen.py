"""Fragments of SVG that every shape is made of. The canvas is 400 x 400; sweets stand on y = 330."""

from collections.abc import Callable, Iterable, Sequence
from math import cos, pi, sin, sqrt
from zlib import crc32

from catalog.demo.palette import darker, lighter

Point = tuple[float, float]
Shape = Callable[[str, str, str], str]
"""Draws one sweet from the colour of its body, the colour of its top and a topping's name."""

GOLDEN_ANGLE = pi * (3 - sqrt(5))


def circle(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    """A disc; `extra` is further attributes."""
    return f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{r:.4g}" fill="{fill}"{extra}/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, extra: str = "") -> str:
    """A disc seen at a slant."""
    size = f'rx="{rx:.4g}" ry="{ry:.4g}"'
    return f'<ellipse cx="{x:.4g}" cy="{y:.4g}" {size} fill="{fill}"{extra}/>'


def rect(x: float, y: float, width: float, height: float, r: float, fill: str) -> str:
    """A box with rounded corners."""
    size = f'width="{width:.4g}" height="{height:.4g}" rx="{r:.4g}"'
    return f'<rect x="{x:.4g}" y="{y:.4g}" {size} fill="{fill}"/>'


def path(d: str, fill: str, extra: str = "") -> str:
    """A filled outline."""
    return f'<path d="{d}" fill="{fill}"{extra}/>'


def line(d: str, colour: str, width: float = 4, extra: str = "") -> str:
    """A stroke with round ends."""
    stroke = f'stroke="{colour}" stroke-width="{width:.3g}" stroke-linecap="round"'
    return f'<path d="{d}" fill="none" {stroke}{extra}/>'


def place(inner: str, x: float, y: float, scale: float = 1, turn: float = 0) -> str:
    """Move a fragment drawn around the origin."""
    move = f"translate({x:.4g} {y:.4g})"
    move += f" rotate({turn:.4g})" if turn else ""
    move += f" scale({scale:.3g})" if scale != 1 else ""
    return f'<g transform="{move}">{inner}</g>'


def repeat(inner: str, spots: Iterable[tuple[float, ...]]) -> str:
    """Draw a fragment at each (x, y[, scale[, turn]]), farthest first, stored only once.

    The id comes from the content, so pictures that share a page cannot get at another's fragment.
    """
    name = f"f{crc32(inner.encode()):x}"
    copies = ""
    for spot in spots:
        copies += place(f'<use href="#{name}"/>', *spot)
    return f'<defs><g id="{name}">{inner}</g></defs>{copies}'


def shade(d: str, alpha: float = 0.14) -> str:
    """The side of a body that is away from the light."""
    return path(d, "#3b1a10", f' opacity="{alpha:g}"')


def strewn(count: int, x: float, y: float, rx: float, ry: float) -> list[Point]:
    """Spread points evenly over an ellipse, like the seeds of a sunflower: no chance involved."""
    spots = []
    for i in range(count):
        far, angle = sqrt((i + 0.5) / count), i * GOLDEN_ANGLE
        spots.append((x + rx * far * cos(angle), y + ry * far * sin(angle)))
    return spots


def ring(count: int, x: float, y: float, rx: float, ry: float) -> list[Point]:
    """Points on an ellipse, the farthest (highest) first, so that nearer ones overlap them."""
    angles = [2 * pi * i / count - pi / 2 for i in range(count)]
    return sorted(((x + rx * cos(a), y + ry * sin(a)) for a in angles), key=lambda p: p[1])


def dashes(points: Iterable[Point], colours: Sequence[str], length: float, width: float) -> str:
    """Short strokes turned every way: sprinkles, coconut flakes. One path per colour."""
    strokes: dict[str, str] = dict.fromkeys(colours, "")
    for i, (x, y) in enumerate(points):
        dx, dy = length * cos(i * 2.1), length * sin(i * 2.1)
        strokes[colours[i % len(colours)]] += (
            f"M{x - dx / 2:.0f} {y - dy / 2:.0f}l{dx:.1f} {dy:.1f}"
        )
    return "".join(line(d, colour, width) for colour, d in strokes.items() if d)


def dots(points: Iterable[Point], colour: str, size: float) -> str:
    """Round grains, drawn as strokes of no length: one path for all of them."""
    return line("".join(f"M{x:.0f} {y:.0f}h0" for x, y in points), colour, size)


def drip(x: float, y: float, rx: float, ry: float, lengths: Sequence[float], fill: str) -> str:
    """A poured top: an ellipse whose near rim runs down in drops of the given lengths."""
    step = rx * 2 / len(lengths)
    d = f"M{x - rx:.1f} {y:.1f}"
    for i, length in enumerate(lengths):
        middle = (i + 0.5) * step - rx
        rim = y + ry * sqrt(1 - (middle / rx) ** 2)
        d += f"V{rim + length:.1f}a{step / 2:.1f} {step / 2:.1f} 0 0 {i % 2} {step:.1f} 0"
    return path(f"{d}V{y:.1f}Z", fill) + ellipse(x, y, rx, ry, lighter(fill, 0.12))


def plate() -> str:
    """A white plate under the sweet."""
    return (
        ellipse(200, 330, 158, 30, "#d9c8ba")
        + ellipse(200, 324, 158, 30, "#fffdf8")
        + ellipse(200, 322, 122, 20, "#f1e6da")
    )


def paper_cup(x: float, y: float, width: float, colour: str) -> str:
    """A pleated paper cup whose rim is centred on (x, y)."""
    half, foot, tall = width / 2, width * 0.37, width * 0.36
    step = width / 8
    rim = "".join(f"q{step / 2:.1f} -9 {step:.1f} 0" for _ in range(8))
    body = f"M{x - half:.1f} {y:.1f}{rim}L{x + foot:.1f} {y + tall:.1f}"
    body += f"Q{x:.1f} {y + tall + 16:.1f} {x - foot:.1f} {y + tall:.1f}Z"
    pleats = "".join(
        f"M{x - half + step * i:.1f} {y + 2:.1f}L{x - foot + foot / 4 * i:.1f} {y + tall + 5:.1f}"
        for i in range(1, 8)
    )
    return path(body, colour) + line(pleats, darker(colour, 0.18), 3)


def gloss(d: str, alpha: float = 0.45, width: float = 9) -> str:
    """A stroke of light on something that shines."""
    return line(d, "#fff", width, f' opacity="{alpha:g}"')
