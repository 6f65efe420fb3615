"""Biscuits, sweet breads and pastry."""

from math import cos, pi, sin

from catalog.demo.palette import blend, darker, lighter
from catalog.demo.shapes.pen import (
    Shape,
    circle,
    dots,
    ellipse,
    gloss,
    line,
    path,
    place,
    plate,
    rect,
    repeat,
    ring,
    shade,
    strewn,
)
from catalog.demo.shapes.toppings import grains, strew, topping

HEAP = ((136, 238), (264, 238), (200, 196), (104, 290), (296, 290), (200, 280), (196, 150))


def _chip_cookie(base: str, top: str, finish: str) -> str:
    rough = circle(0, 0, 90, darker(base, 0.14), ' stroke-dasharray="30 6"') + circle(
        -2, -5, 88, base
    )
    cracks = line("M-50-30Q-30-18-34 4M30-56Q26-30 48-22M-10 44Q12 36 30 54", darker(base, 0.14), 4)
    chips = "".join(
        rect(x - 11, y - 10, 22, 19, 7, darker(top, 0.25)) + rect(x - 11, y - 11, 20, 15, 6, top)
        for x, y in strewn(11, 0, -4, 76, 74)
    )
    return rough + cracks + chips + grains(finish, 12, 6, 6, 66, 64)


def cookie(base: str, top: str, finish: str) -> str:
    """Two cookies with chips, one leaning on the other."""
    one = _chip_cookie(base, top, finish)
    return place(one, 248, 196, 0.86, 40) + place(one, 158, 246, 0.98)


def sandwich(base: str, top: str, finish: str) -> str:
    """Two rounds with filling between them: alfajor, bem-casado, casadinho."""
    lower = "M-94 26V46A94 34 0 0 0 94 46V26Z"
    middle = "M-98 4V28A98 36 0 0 0 98 28V4Z"
    upper = "M-94-34V-4A94 34 0 0 0 94-4V-34Z"
    one = (
        path(lower, darker(base, 0.1))
        + path(middle, top)
        + path(upper, base)
        + shade("M98-34V46A94 34 0 0 1 62 72V-8Z", 0.08)
        + ellipse(0, -34, 94, 34, lighter(base, 0.2))
        + grains(finish, 50, 0, -36, 80, 26)
        + topping(finish, 0, -40, 1.5)
    )
    return repeat(one, [(204, 168, 0.8), (130, 262, 0.86), (274, 268, 0.86)])


def macaron(base: str, top: str, finish: str) -> str:
    """A tower of macarons in related colours."""
    tower = ""
    tints = (base, blend(base, top, 0.55), top)
    for i, y in enumerate((292, 222, 152)):
        colour = tints[i] if finish == "mixed" else base
        filling = "#fff4df" if finish == "mixed" else top
        frill = "".join("q7 9 14 0" for _ in range(12))
        x = (200, 210, 194)[i]
        shells = rect(-78, -8, 156, 17, 8, filling)
        shells += path(f"M-84 6{frill}V14Q84 38 40 38H-40Q-84 38-84 14Z", colour)
        shells += path(f"M-84-6{frill}V-10Q82-46 30-46H-30Q-82-46-84-10Z", colour)
        shells += line("M-84 10h168M-84-8h168", darker(colour, 0.14), 5, ' stroke-dasharray="3 9"')
        tower += place(shells + gloss("M-58-24Q-50-36-28-37", 0.5, 7), x, y, 1.05)
    return tower


def thumbprint(base: str, top: str, finish: str) -> str:
    """Small biscuits with jam in the middle, or pressed with a fork when there is none."""
    one = ellipse(0, 11, 66, 44, darker(base, 0.26)) + ellipse(0, 0, 66, 44, base)
    one += grains(finish, 40, 0, 0, 60, 38)
    if finish == "fork":
        one += line("M-40-24L-22 28M-14-34L6 36M14-34L36 24", darker(base, 0.22), 6)
    else:
        one += ellipse(0, 0, 34, 21, darker(top, 0.25)) + ellipse(0, 2, 31, 18, top)
        one += gloss("M-17-4Q-10-11 2-12", 0.6, 5)
    return plate() + repeat(one, HEAP)


def rings(base: str, top: str, finish: str) -> str:
    """A heap of little ring biscuits."""
    one = ellipse(0, 8, 66, 44, darker(base, 0.22)) + ellipse(0, 0, 66, 44, base)
    one += grains(finish, 42, 0, 0, 60, 38)
    one += ellipse(0, -2, 24, 13, darker(base, 0.42)) + line("M-46-16Q-24-34 12-34", top, 6)
    return plate() + repeat(one, HEAP)


def kisses(base: str, top: str, _finish: str) -> str:
    """Meringues: piped drops with a curl."""
    one = (
        ellipse(0, 44, 70, 26, darker(base, 0.1))
        + path("M-70 42C-78 8-50 0-42-18-34-44-12-50 6-92 14-54 36-46 42-20 52 0 78 8 70 42Z", base)
        + path("M-70 40Q0 74 70 40 74 66 0 70-74 66-70 40Z", base)
        + line("M-58 16Q0 44 60 10M-40-22Q0 2 42-24M-18-54Q0-44 18-56", blend(base, top, 0.6), 5)
    )
    return repeat(one, [(200, 186, 0.95), (128, 262), (272, 268)])


def gingerbread(base: str, top: str, _finish: str) -> str:
    """A gingerbread man with icing."""
    body = line("M0-20V46M-70-6L0-4 70-6M-2 40L-44 108M2 40L44 108", base, 54)
    ice = "M-78-22Q-68-6-80 10M78-22Q68-6 80 10M-64 92Q-46 94-30 112M64 92Q46 94 30 112"
    face = circle(-18, -96, 6, "#40241a") + circle(18, -96, 6, "#40241a")
    smile = line("M-20-74Q0-56 20-74", top, 6)
    buttons = dots([(0, -16), (0, 14), (0, 44)], "#d9404f", 14)
    man = body + circle(0, -84, 52, base) + line(ice, top, 7) + face + smile + buttons
    dark = place(man.replace(base, darker(base, 0.25)), 204, 226)
    return dark + place(man, 200, 220)


def iced(base: str, top: str, finish: str) -> str:
    """Heart biscuits with royal icing."""
    outline = "M0 84C-128 4-96-88-36-80Q-8-76 0-48 8-76 36-80C96-88 128 4 0 84Z"
    one = path(outline, darker(base, 0.18), ' transform="translate(3 7)"') + path(outline, base)
    one += path(outline, top, ' transform="translate(0 -1) scale(.82)"')
    one += line(outline, lighter(top, 0.7), 4, ' stroke-dasharray="1 10" transform="scale(.7)"')
    one += gloss("M-52-30Q-48-50-32-52", 0.5, 7) + grains(finish, 18, 0, 0, 30, 24)
    return place(one, 256, 168, 0.84, 14) + place(one, 152, 246, 1.04, -10)


def bun(base: str, top: str, finish: str) -> str:
    """Sonho: a fried bun split around its cream, dusted with sugar."""
    cream = "M56 252Q56 222 110 226H290Q344 222 344 252T306 280Q290 268 272 286T226 284"
    cream += "T180 292T134 282T94 278Q58 282 56 252Z"
    sugar = "M82 206C84 154 138 126 200 126S316 154 318 206Q300 184 280 202T240 192T202 208T160 192"
    sugar += "T122 206T82 206Z"
    return (
        plate()
        + path("M66 262Q70 326 140 326H260Q330 326 334 262Z", darker(base, 0.12))
        + path(cream, top)
        + path("M60 246C48 150 130 116 200 116S352 150 340 246Q270 262 200 258T60 246Z", base)
        + shade("M300 144C344 176 344 220 340 246 320 252 300 254 280 256 320 216 320 180 300 144Z")
        + path(sugar, "#fffdf8", ' opacity=".86"')
        + grains(finish, 40, 200, 212, 126, 20)
    )


def croissant(base: str, top: str, finish: str) -> str:
    """A croissant in five folds; without a topping its tips are dipped."""
    folds = (
        "M52 296C36 240 66 192 104 184L146 276Q92 268 52 296Z",
        "M348 296C364 240 334 192 296 184L254 276Q308 268 348 296Z",
        "M88 206C96 158 134 132 166 132L188 268 138 284Q112 246 88 206Z",
        "M312 206C304 158 266 132 234 132L212 268 262 284Q288 246 312 206Z",
        "M146 164Q164 116 200 114T254 164L238 280Q200 292 162 280Z",
    )
    tips = "M52 296C46 266 54 240 70 220Q96 250 92 277 68 282 52 296Z"
    tips += "M348 296C354 266 346 240 330 220Q304 250 308 277 332 282 348 296Z"
    body = (
        "".join(path(d, base) for d in folds[:2])
        + ("" if finish else path(tips, top))
        + "".join(path(d, blend(base, "#b8652f", 0.15)) for d in folds[2:4])
        + path(folds[4], blend(base, "#b8652f", 0.3))
        + line(
            "M84 216Q112 214 124 246M316 216Q288 214 276 246M132 160Q156 186 158 262"
            "M268 160Q244 186 242 262M178 138Q190 180 188 256",
            darker(base, 0.3),
            4,
        )
        + gloss("M176 144Q184 130 202 128M112 190Q122 172 138 162", 0.4, 7)
        + grains(finish, 44, 200, 202, 118, 58)
        + (grains("snow", 60, 200, 196, 124, 60) if finish else "")
    )
    return plate() + place(body, 0, 22)


def swirl(base: str, top: str, finish: str) -> str:
    """A coiled bun with glaze."""
    coil, icing = "M200 208", "M200 208"
    for i in range(1, 50):
        angle, far = i * pi / 8, 2 + i * 2.35
        coil += f"L{200 + far * cos(angle):.0f} {208 + far * 0.8 * sin(angle):.0f}"
        icing += f"L{200 - (far - 2) * cos(angle):.0f} {206 - (far - 2) * 0.8 * sin(angle):.0f}"
    drops = line("M106 236v34M148 280v22M202 290v26M256 276v30M298 232v40", top, 17)
    return (
        plate()
        + path("M64 208V246Q66 328 200 330T336 246V208Z", darker(base, 0.22))
        + ellipse(200, 208, 136, 108, base)
        + drops
        + line(coil, darker(base, 0.5), 10)
        + line(icing, top, 15, ' stroke-linejoin="round"')
        + grains(finish, 34, 200, 206, 96, 76)
    )


def panettone(base: str, top: str, finish: str) -> str:
    """A panettone in its paper collar."""
    pleats = "".join(f"M{104 + i * 24} 236V318" for i in range(9))
    return (
        path("M84 206C40 106 124 66 200 66S360 106 316 206Z", base)
        + path(
            "M84 150C98 96 146 76 200 76S302 96 316 150Q252 118 200 126T84 150Z",
            lighter(base, 0.12),
        )
        + line("M142 98Q196 118 262 172M258 98Q204 118 138 172", darker(base, 0.35), 6)
        + grains(finish, 30, 200, 140, 106, 56)
        + path("M80 196H320L310 318Q308 330 294 330H106Q92 330 90 318Z", top)
        + line(pleats, darker(top, 0.16), 4)
        + rect(78, 192, 244, 26, 8, lighter(top, 0.25))
        + path("M84 248H316L313 284H87Z", "#e3bd62")
        + topping("heart", 200, 266, 0.8)
        + shade("M276 218H318L310 318Q308 330 294 330H262Z", 0.12)
    )


def donut(base: str, top: str, finish: str) -> str:
    """A glazed doughnut."""
    icing = "M70 214C66 130 130 98 200 98S334 130 330 214Q326 252 300 240T256 258T206 252T152 262T108 244T70 214Z"
    return (
        plate()
        + path(
            "M62 226C58 136 130 104 200 104S342 136 338 226 276 328 200 328 66 316 62 226Z", base
        )
        + shade(
            "M338 226C334 316 276 328 200 328 140 328 90 318 70 264 150 316 290 310 338 226Z", 0.12
        )
        + path(icing, top)
        + ellipse(200, 190, 46, 26, darker(base, 0.4))
        + path("M156 194A46 22 0 0 0 244 194Q236 206 200 206T156 194Z", lighter(base, 0.2))
        + strew(finish, ring(13, 200, 182, 108, 54) + ring(9, 200, 186, 76, 40))
        + gloss("M98 170Q112 136 146 122")
    )


def churros(base: str, top: str, finish: str) -> str:
    """Three churros in a paper cone, dusted with sugar, filled."""
    sticks = ""
    for x, y, turn in ((-46, -66, -16), (46, -66, 16), (0, -86, 0)):
        one = rect(-25, -90, 50, 220, 22, base)
        one += line("M-14-76V120M0-78V120M14-76V120", darker(base, 0.2), 4)
        one += grains(finish, 44, 0, 0, 20, 96) + ellipse(0, -82, 17, 12, darker(top, 0.2))
        sticks += place(one + ellipse(0, -86, 17, 11, top), x, y, 1, turn)
    cone = path("M-100 0L100 0 54 134Q50 142 40 142H-40Q-50 142-54 134Z", "#f6e3c4")
    cone += line("M-70 6L-36 138M-24 6L-12 138M24 6L12 138M70 6L36 138", "#e4525c", 9)
    return place(sticks, 200, 216) + place(cone, 200, 196)


def eclair(base: str, top: str, finish: str) -> str:
    """Two éclairs with icing and cream at the seam."""
    one = (
        rect(-128, -26, 256, 72, 36, darker(base, 0.1))
        + line("M-112 8" + "q14 14 28 0" * 8, "#fff1d6", 13)
        + path("M-128 4C-132-50-90-52-60-52H60C90-52 132-50 128 4Z", base)
        + path(
            "M-108-14C-112-52-84-54-60-54H60C84-54 112-52 108-14 90-2 80-18 60-10"
            "T10-10T-40-8T-80-10-108-14Z",
            top,
        )
        + gloss("M-84-36Q-70-42-30-42", 0.5, 7)
        + grains(finish, 26, 0, -32, 86, 12)
    )
    return plate() + place(one, 218, 214, 0.86, -8) + place(one, 188, 280, 0.98, -8)


BAKERY: dict[str, Shape] = {
    "bun": bun,
    "churros": churros,
    "cookie": cookie,
    "croissant": croissant,
    "donut": donut,
    "eclair": eclair,
    "gingerbread": gingerbread,
    "iced": iced,
    "kisses": kisses,
    "macaron": macaron,
    "panettone": panettone,
    "rings": rings,
    "sandwich": sandwich,
    "swirl": swirl,
    "thumbprint": thumbprint,
}
