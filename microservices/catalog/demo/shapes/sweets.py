"""Party sweets, bonbons and the sweets of the regions."""

from math import cos, sin

from catalog.demo.palette import darker, lighter
from catalog.demo.shapes.pen import (
    Shape,
    circle,
    dots,
    ellipse,
    gloss,
    line,
    paper_cup,
    path,
    place,
    plate,
    rect,
    repeat,
    shade,
    strewn,
)
from catalog.demo.shapes.toppings import grains, topping


def _morsel(base: str, finish: str, top: str) -> str:
    """A rolled sweet of radius 84 around the origin, without its paper."""
    half = path("M0-84A84 84 0 0 1 0 84Q26 0 0-84Z", top) if finish == "half" else ""
    moon = shade("M60.4-58.4A84 84 0 0 1-45.7 70.5 92 92 0 0 0 60.4-58.4Z", 0.1)
    coat = grains(finish, 54, 0, -4, 78, 74)
    return circle(0, 0, 84, base) + half + moon + coat + gloss("M-52-36Q-44-54-26-62", 0.4, 10)


def ball(base: str, top: str, finish: str) -> str:
    """One rolled sweet in a paper cup and two more behind it; `top` colours the paper."""
    coat, _, crown = finish.partition("+")
    paper = "#fffaf0" if coat == "half" else top
    one = _morsel(base, coat, top) + paper_cup(0, 22, 186, paper)
    return repeat(one, [(92, 262, 0.6), (308, 262, 0.6), (200, 236, 0.98)]) + topping(
        crown, 200, 152, 1.7
    )


def cashew(base: str, top: str, _finish: str) -> str:
    """Cajuzinho: peanut sweet in the shape of a cashew apple, a peanut for its nut."""
    body = "M0-96C46-96 62-40 72 4 84 60 44 88 0 88S-84 60-72 4C-62-40-46-96 0-96Z"
    one = (
        path(body, base)
        + shade("M40-70C60-40 66-10 74 14 84 60 44 88 0 88 60 60 52-10 40-70Z")
        + grains("sugar", 46, 0, 4, 62, 78)
        + topping("peanut", 0, -96, 1.7, 12)
        + paper_cup(0, 34, 176, top)
    )
    return repeat(one, [(94, 268, 0.58), (306, 268, 0.58), (200, 232)])


def prune(base: str, top: str, _finish: str) -> str:
    """Olho de sogra: a prune opened around a coconut sweet, with a clove."""
    one = (
        paper_cup(0, 22, 214, "#f7ead6")
        + path("M-104 4C-92-66 92-66 104 4 92 66-92 66-104 4Z", base)
        + path("M-74-4C-56-62 56-62 74-4 56 36-56 36-74-4Z", top)
        + grains("sugar", 44, 0, -12, 56, 26)
        + gloss("M-88 14Q-74 38-40 46", 0.3, 6)
        + topping("clove", 0, -24, 1.5)
    )
    return repeat(one, [(112, 222, 0.72), (288, 222, 0.72), (200, 256, 0.96)])


def cameo(base: str, top: str, finish: str) -> str:
    """Camafeu: a sweet bathed in fondant, half a walnut on top."""
    one = (
        paper_cup(0, 26, 206, top)
        + path("M-98 18C-104-66 104-66 98 18 92 56-92 56-98 18Z", darker(base, 0.12))
        + path("M-92 6C-92-66 92-66 92 6 80 38-80 38-92 6Z", base)
        + gloss("M-70-14Q-58-36-30-42", 0.8)
        + topping(finish, 0, -26, 1.7)
    )
    return repeat(one, [(94, 238, 0.64), (306, 238, 0.64), (200, 248, 0.94)])


def truffle(base: str, top: str, finish: str) -> str:
    """A truffle, and one in front cut in half to show its heart."""
    whole = "M-82 20C-96-36-54-86 4-84 62-84 96-30 82 24 70 74-66 76-82 20Z"
    back = path(whole, base) + shade("M60-64C98-30 94 40 60 60 80 10 76-30 60-64Z", 0.2)
    back += grains(finish, 60, 0, -8, 70, 64)
    if finish == "":
        back += line("M-74-10Q-30-60 40-76M-80 22Q-10-40 74-36M-56 50Q20 4 84 6", top, 6)
    front = path(whole, base) + ellipse(-4, 2, 72, 68, darker(base, 0.25))
    front += ellipse(-4, 2, 62, 58, top) + ellipse(6, 10, 50, 46, lighter(top, 0.22))
    seeds = dots([(-30, -12), (24, -20), (-8, 26), (34, 18)], darker(top, 0.4), 7)
    crumbs = dots([(78, 322), (96, 334), (330, 330), (346, 318)], base, 9)
    return place(back, 148, 202) + crumbs + place(front + seeds, 244, 262, 0.92)


def bonbon(base: str, top: str, finish: str) -> str:
    """A moulded, shining bonbon and its other half, filled."""
    dome = "M-88 60C-92-40-50-84 0-84S92-40 88 60Q84 76 66 76H-66Q-84 76-88 60Z"
    stripes = "M-66-40Q0-14 62-44M-80-6Q0 24 78-10"
    whole = path(dome, base) + shade(
        "M44-66C80-40 92 10 88 60Q84 76 66 76H34C62 30 64-20 44-66Z", 0.2
    )
    whole += line(stripes, top, 8) + gloss("M-56-18Q-52-50-26-62", 0.5, 11)
    half = path(dome, base) + path(dome, lighter(top, 0.1), ' transform="translate(0 6) scale(.8)"')
    half += path("M-66 30Q0 12 66 30L64 54Q60 64 50 64H-50Q-60 64-64 54Z", darker(top, 0.16))
    return place(whole, 140, 218, 1.05) + place(half + topping(finish, 0, 2, 2), 264, 256)


def wrapped(base: str, top: str, _finish: str) -> str:
    """Sweets in twisted paper."""
    ears = "M-62 0L-128-46-112-14-134 4-110 18-126 48ZM62 0L128-46 112-14 134 4 110 18 126 48Z"
    candy = path(ears, top) + line(
        "M-66 0L-112-22M-66 4L-108 24M66 0L112-22M66 4L108 24", darker(top, 0.2), 4
    )
    candy += path("M-76 0C-70-60 70-60 76 0 70 60-70 60-76 0Z", base)
    candy += line("M-44-38Q-22 0-44 38M0-46Q22 0 0 46M44-38Q62 0 44 38", top, 9)
    candy += gloss("M-56-14Q-48-30-32-34", 0.6, 7)
    return repeat(candy, [(132, 190, 0.74, -24), (268, 198, 0.74, 20), (198, 282, 0.98, -4)])


def bar(base: str, top: str, finish: str) -> str:
    """A bar of chocolate, half out of its wrapper."""
    blocks = "".join(
        rect(-78 + 54 * column, -124 + 48 * row, 48, 42, 6, lighter(base, 0.14))
        for column in range(3)
        for row in range(3)
    )
    edge = "M-92 20l16-12 15 12 15-12 15 12 15-12 15 12 15-12 15 12 15-12 15 12 18-12V136H-92Z"
    wrapper = path(edge, "#e6d5bd") + rect(-96, 34, 192, 116, 6, top)
    label = rect(-62, 58, 124, 66, 33, lighter(top, 0.7)) + line("M-96 138H96", darker(top), 4)
    slab = rect(-86, -132, 172, 200, 10, base) + blocks + grains(finish, 36, -4, -58, 74, 62)
    return place(slab + wrapper + label + topping(finish, 0, 91, 1.15), 200, 206, 1, 10)


def cork(base: str, top: str, _finish: str) -> str:
    """Paçoca: crumbly cylinders of ground peanut."""
    body = "M-56-60V56A56 20 0 0 0 56 56V-60Z"
    cracks = line("M-30-20l10 18-8 14M20 10l-10 16 8 14M34-34l-6 12", darker(base, 0.22), 3)
    one = path(body, base) + shade("M56-60V56A56 20 0 0 1 18 75V-40Z") + cracks
    one += dots(strewn(18, 0, 14, 46, 46), darker(base, 0.16), 4)
    one += ellipse(0, -60, 56, 20, lighter(base, 0.3)) + dots(strewn(14, 0, -60, 46, 14), top, 4)
    crumbs = dots([(96, 338), (112, 346), (296, 340), (318, 332), (206, 350)], base, 8)
    return repeat(one, [(132, 214), (262, 220), (198, 266)]) + crumbs


def mound(base: str, top: str, finish: str) -> str:
    """Cocada: rough heaps of grated coconut."""
    heap = "M-92 50C-108 10-74-8-66-30-50-66-18-58-2-66 26-74 44-52 60-34 92-14 104 18 92 50"
    one = path(f"{heap} 60 74-64 74-92 50Z", base)
    one += shade("M52-42C92-14 104 18 92 50 70 68 30 70 0 70 60 50 66-10 52-42Z", 0.12)
    threads = ""
    for i, (x, y) in enumerate(strewn(46, 0, 8, 80, 56)):
        threads += f"M{x:.0f} {y:.0f}q{9 * cos(i):.0f} {9 * sin(i):.0f} {16 * cos(i + 1):.0f} 3"
    one += line(threads, top, 5) + grains(finish, 12, 0, -4, 66, 44)
    return plate() + repeat(one, [(118, 258, 0.74), (284, 258, 0.74), (200, 262, 0.92)])


def brick(base: str, top: str, finish: str) -> str:
    """A block of fruit paste, rapadura or brittle with one piece cut off and laid in front."""

    def block(base: str, x: float, y: float, w: float, d: float, h: float) -> str:
        right, low = x + w, y + d
        front = path(f"M{x} {low}H{right}V{low + h}H{x}Z", base)
        side = path(
            f"M{right} {low}L{right + 40} {y}V{y + h}L{right} {low + h}Z", darker(base, 0.2)
        )
        lid = path(f"M{x} {low}L{x + 40} {y}H{right + 40}L{right} {low}Z", lighter(base, 0.22))
        lid += grains(finish, int(w / 5), x + w / 2 + 18, y + d / 2, w / 2 - 4, d / 2 - 6)
        face = grains(finish, int(w * h / 480), x + w / 2, low + h / 2, w / 2 - 8, h / 2 - 8)
        return front + side + lid + face + gloss(f"M{x + 12} {low + 10}H{x + w / 2}", 0.3, 6)

    board = rect(48, 306, 304, 26, 10, "#b98049") + rect(48, 300, 304, 24, 10, "#d39d62")
    pieces = block(base, 100, 160, 178, 46, 100) + block(base, 66, 262, 92, 26, 34)
    return board + pieces + block(top, 196, 268, 80, 24, 32)


def coated(base: str, top: str, finish: str) -> str:
    """Pão de mel: a small round cake in chocolate, one bitten to show its filling."""
    puck = "M-92-14V28A92 34 0 0 0 92 28V-14Z"
    whole = path(puck, base) + shade("M92-14V28A92 34 0 0 1 26 61V10Z", 0.2)
    whole += ellipse(0, -14, 92, 36, lighter(base, 0.16)) + topping(finish, 0, -20, 1.4)
    whole += (
        gloss("M-74-16Q-58-38-22-42", 0.4, 6)
        if finish
        else line("M-70-26Q0-6 62-36M-84-6Q0 22 82-16M-50 10Q10 24 66 6", top, 5)
    )
    dome = "M-90-8C-90-66 90-66 90-8V44Q90 56 78 56H-78Q-90 56-90 44Z"
    cut = path(dome, base) + path(dome, "#b9743f", ' transform="translate(0 1) scale(.87 .84)"')
    cut += dots(strewn(26, 0, 2, 68, 36), "#9a5c30", 4) + rect(-77, -6, 154, 24, 8, top)
    return place(whole, 148, 218, 1.12) + place(cut, 264, 268, 1.08)


SWEETS: dict[str, Shape] = {
    "ball": ball,
    "bar": bar,
    "bonbon": bonbon,
    "brick": brick,
    "cameo": cameo,
    "cashew": cashew,
    "coated": coated,
    "cork": cork,
    "mound": mound,
    "prune": prune,
    "truffle": truffle,
    "wrapped": wrapped,
}
