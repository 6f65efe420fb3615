"""Boxes, tins, baskets and chocolate eggs."""

from catalog.demo.palette import SPRINKLES, blend, darker, lighter
from catalog.demo.shapes.pen import (
    Shape,
    circle,
    dots,
    ellipse,
    gloss,
    line,
    path,
    place,
    rect,
    shade,
    strewn,
)
from catalog.demo.shapes.toppings import grains, topping, toppings


def bow(colour: str) -> str:
    """A ribbon bow around the origin, about 150 wide."""
    tails = "M-6 4L-40 62-22 58-12 72 8 8ZM6 4L40 62 22 58 12 72-8 8Z"
    loops = "M0 2C-30-50-84-44-78-4-74 30-24 22 0 2ZM0 2C30-50 84-44 78-4 74 30 24 22 0 2Z"
    folds = line("M-14-2Q-40-18-58-10M14-2Q40-18 58-10", darker(colour, 0.25), 5)
    return (
        path(tails, darker(colour, 0.15))
        + path(loops, colour)
        + folds
        + rect(-16, -14, 32, 30, 10, darker(colour, 0.1))
    )


def assortment(base: str, top: str, finish: str) -> str:
    """An open box seen from above, with rows of sweets in paper cups."""
    coats = {
        "classic": ("#54301f", "#fff6e4", "#c98445", "#f29bab"),
        "dark": ("#40241a", "#6b3a26", "#54301f", "#8a5236"),
        "green": ("#a9bd6b", "#54301f", "#fff1d6", "#7fa88b"),
    }[finish]
    sweets = ""
    for i in range(12):
        x, y, colour = 104 + i % 4 * 64, 164 + i // 4 * 62, coats[(i + i // 4) % 4]
        sweets += circle(x, y, 28, lighter(top, 0.55)) + circle(x, y, 23, colour)
        if (i + i // 4) % 2:
            sweets += dots(strewn(7, x, y, 16, 16), lighter(colour, 0.5), 4)
        else:
            sweets += line(f"M{x - 15} {y + 3}q8-10 14-3t15-3", lighter(colour, 0.45), 4)
    return (
        rect(54, 116, 300, 222, 18, darker(base, 0.25))
        + rect(48, 108, 304, 222, 18, base)
        + rect(62, 124, 276, 194, 10, darker(base, 0.3))
        + sweets
        + path("M280 108H306L352 156V182Z", top)
        + place(bow(top), 324, 124, 0.62, 28)
    )


def gift(base: str, top: str, finish: str) -> str:
    """A closed box with ribbon and bow."""
    return (
        path("M84 176H316V318Q316 330 304 330H96Q84 330 84 318Z", base)
        + dots(strewn(26, 200, 258, 106, 62), lighter(base, 0.35), 8)
        + shade("M84 176H316V192H84ZM270 192H316V318Q316 330 304 330H270Z", 0.12)
        + rect(70, 140, 260, 44, 8, lighter(base, 0.12))
        + rect(180, 140, 40, 190, 0, top)
        + shade("M180 184H220V196H180Z", 0.2)
        + place(bow(top), 200, 134, 1.25)
        + toppings(finish, [(122, 262), (278, 262)], 1.5)
    )


def basket(base: str, top: str, finish: str) -> str:
    """A wicker basket full of good things."""
    weave = "".join(
        f"M{x + shift} {y}q9-9 18 0"
        for y, shift in ((262, 0), (284, 14), (306, 0))
        for x in range(96, 268, 28)
    )
    loaf = rect(-26, -80, 52, 150, 26, "#d9964e") + line(
        "M-10-50L12-38M-10-20L12-8M-10 10L12 22", "#b3702f", 6
    )
    pot = rect(-36, -36, 72, 90, 14, "#c98445") + rect(-40, -52, 80, 24, 8, top)
    pot += rect(-24, -12, 48, 34, 6, "#fff6e4")
    return (
        line("M82 226C84 62 316 62 318 226", darker(base, 0.2), 14)
        + line("M82 226C84 62 316 62 318 226", lighter(base, 0.2), 5, ' stroke-dasharray="12 12"')
        + place(loaf, 132, 190, 0.95, -22)
        + place(loaf, 168, 176, 0.9, -4)
        + place(pot, 232, 196)
        + circle(290, 214, 36, "#dba866")
        + dots(strewn(7, 290, 210, 24, 24), "#54301f", 9)
        + topping(finish, 192, 212, 1.3)
        + path("M68 230H332L306 320Q304 332 290 332H110Q96 332 94 320Z", base)
        + line(weave, darker(base, 0.22), 5)
        + shade("M332 230L306 320Q304 332 290 332H260L280 230Z", 0.1)
        + rect(60, 220, 280, 26, 13, lighter(base, 0.15))
        + line("M74 233H326", darker(base, 0.15), 5, ' stroke-dasharray="10 12"')
        + place(bow(top), 200, 248, 0.85)
    )


def tin(base: str, top: str, finish: str) -> str:
    """A round tin of biscuits with its lid leaning behind."""
    biscuits = "".join(
        circle(x, y, 31, "#c98d4c") + circle(x, y - 3, 30, "#eec48a")
        for x, y in (
            (112, 202),
            (288, 202),
            (160, 184),
            (240, 184),
            (200, 214),
            (140, 222),
            (262, 222),
        )
    )
    jam = dots([(112, 199), (240, 181), (140, 219), (262, 219)], "#c9404a", 22)
    chips = dots(strewn(5, 160, 180, 18, 16) + strewn(5, 200, 210, 18, 16), "#54301f", 7)
    return (
        ellipse(236, 132, 116, 84, darker(base, 0.2), ' transform="rotate(18 236 132)"')
        + ellipse(232, 128, 108, 76, lighter(base, 0.2), ' transform="rotate(18 232 128)"')
        + topping(finish, 238, 104, 1.5)
        + ellipse(200, 206, 136, 42, darker(base, 0.4))
        + biscuits
        + jam
        + chips
        + path("M64 208A136 42 0 0 0 336 208V290A136 44 0 0 1 64 290Z", base)
        + line("M64 226A136 42 0 0 0 336 226M64 288A136 44 0 0 0 336 288", top, 6)
        + toppings("heart", [(110, 280), (200, 296), (290, 280)], 0.9)
        + shade("M336 208V290A136 44 0 0 1 270 324V236A136 42 0 0 0 336 208Z", 0.12)
    )


def egg(base: str, top: str, finish: str) -> str:
    """A chocolate Easter egg, decorated, standing in a nest of ribbon."""
    shell = (
        "M200 66C268 66 306 154 306 220 306 290 256 328 200 328S94 290 94 220C94 154 132 66 200 66Z"
    )
    waves = "M103 186" + "q12-20 24.3 0t24.3 0" * 4 + "M104 270" + "q12-20 24 0t24 0" * 4
    return (
        path(shell, base)
        + shade(
            "M250 86C294 130 306 180 306 220 306 290 256 328 200 328 290 280 286 160 250 86Z", 0.2
        )
        + line(waves, top, 8)
        + dots([(130, 156), (165, 146), (200, 142), (235, 146), (270, 156)], lighter(top, 0.4), 13)
        + grains(finish, 26, 200, 110, 52, 26)
        + gloss("M122 206Q124 150 154 110", 0.4, 12)
        + rect(97, 212, 207, 32, 4, top)
        + place(bow(top), 200, 226, 1.05)
    )


def heartbox(base: str, top: str, _finish: str) -> str:
    """A heart-shaped box of bonbons, open."""
    heart = "M0 130C-196 10-150-136-56-124Q-12-118 0-76 12-118 56-124C150-136 196 10 0 130Z"
    spots = (
        (-78, -64),
        (-26, -46),
        (26, -46),
        (78, -64),
        (-96, -12),
        (-48, 6),
        (0, -4),
        (48, 6),
        (96, -12),
        (-44, 56),
        (44, 56),
        (0, 48),
        (0, 96),
    )
    bonbons = ""
    for i, (x, y) in enumerate(spots):
        colour = ("#54301f", "#a5673f", "#fff1d6")[i % 3]
        bonbons += rect(x - 20, y - 18, 40, 38, 13, darker(colour, 0.2)) + rect(
            x - 20, y - 20, 40, 36, 13, colour
        )
        bonbons += line(
            f"M{x - 10} {y}q6-9 10-2t10-3", lighter(colour, 0.5) if i % 3 < 2 else top, 4
        )
    box = path(heart, darker(base, 0.25), ' transform="translate(4 12)"') + path(heart, base)
    box += path(heart, darker(base, 0.45), ' transform="translate(0 1) scale(.89)"')
    return place(box + bonbons, 200, 216, 1.05) + place(bow(top), 318, 116, 0.62, 24)


def party(base: str, top: str, _finish: str) -> str:
    """A party table: a small cake with candles, sweets around it."""
    candles = ""
    for i, x in enumerate((168, 200, 232)):
        candles += rect(x - 5, 92, 10, 44, 3, SPRINKLES[i]) + path(
            f"M{x} 66q12 14 0 24-12-10 0-24Z", "#f7b928"
        )
    balls = ""
    for i, (x, y) in enumerate(
        ((66, 306), (334, 306), (112, 320), (288, 320), (164, 330), (236, 330))
    ):
        colour = ("#54301f", "#c98445", "#54301f")[i // 2]
        balls += circle(x, y - 14, 22, colour) + dots(
            strewn(7, x, y - 16, 15, 14), blend(colour, top, 0.45), 4
        )
        balls += path(
            f"M{x - 26} {y - 10}l6 24h40l6-24-8 5-9-5-9 5-9-5-9 5Z",
            ("#8cc9c4", "#f7dd5a", "#e4525c")[i // 2],
        )
    garland = line("M30 40Q200 120 370 40", "#c4914f", 3)
    flags = "".join(
        path(f"M{x - 14} {y}h28l-14 30Z", SPRINKLES[i % 5])
        for i, (x, y) in enumerate(((70, 56), (120, 70), (280, 70), (330, 56)))
    )
    return (
        garland
        + flags
        + ellipse(200, 306, 124, 22, "#d9c8ba")
        + ellipse(200, 300, 124, 22, "#fffdf8")
        + path("M106 226V286A94 20 0 0 0 294 286V226Z", base)
        + ellipse(200, 226, 94, 22, lighter(base, 0.2))
        + line("M106 232" + "q12 18 23.5 0" * 8, top, 9)
        + path("M136 142V210A64 15 0 0 0 264 210V142Z", top)
        + shade("M264 142V210A64 15 0 0 1 230 222V150Z", 0.1)
        + ellipse(200, 142, 64, 15, lighter(top, 0.3))
        + candles
        + line("M136 148" + "q11 16 21.3 0" * 6, lighter(base, 0.3), 8)
        + balls
    )


GIFTS: dict[str, Shape] = {
    "assortment": assortment,
    "basket": basket,
    "egg": egg,
    "gift": gift,
    "heartbox": heartbox,
    "party": party,
    "tin": tin,
}
