"""Cakes, tarts and what is cut from them."""

from math import cos, pi, sin

from catalog.demo.palette import blend, darker, lighter
from catalog.demo.shapes.pen import (
    Shape,
    circle,
    dots,
    drip,
    ellipse,
    gloss,
    line,
    path,
    place,
    plate,
    rect,
    ring,
    shade,
    strewn,
)
from catalog.demo.shapes.toppings import grains, topping, toppings

CRUST = "#dca35d"
DRIPS = (34, 6, 52, 10, 26, 4, 60, 8, 36, 6, 46)


def _stand() -> str:
    foot = "M184 312L176 338Q150 344 146 352H254Q250 344 224 338L216 312Z"
    return (
        path(foot, "#eadbcb")
        + ellipse(200, 311, 140, 25, "#d9c8ba")
        + ellipse(200, 304, 140, 25, "#fffdf8")
    )


def cake(base: str, top: str, finish: str) -> str:
    """A whole cake on a stand, with a poured top that drips and a wreath of toppings."""
    body = "M92 176V290A108 24 0 0 0 308 290V176Z"
    return (
        _stand()
        + path(body, base)
        + line("M94 236A108 24 0 0 0 306 236", darker(base, 0.12), 5)
        + shade("M308 176V290A108 24 0 0 1 236 312V190Z", 0.05)
        + shade("M308 176V290A108 24 0 0 1 272 308V186Z", 0.06)
        + drip(200, 176, 108, 27, DRIPS, top)
        + grains(finish, 46, 200, 176, 92, 19)
        + gloss("M108 196V216", 0.5)
        + toppings(finish, ring(9, 200, 164, 82, 18))
    )


def naked(base: str, top: str, finish: str) -> str:
    """A naked cake: bare layers of sponge with cream between them."""
    layers = ""
    for y in (292, 244, 196):
        layers += path(f"M98 {y - 34}V{y - 4}A102 23 0 0 0 302 {y - 4}V{y - 34}Z", base)
        layers += shade(f"M302 {y - 34}V{y - 4}A102 23 0 0 1 250 {y + 15}V{y - 20}Z", 0.08)
        rim = f"M96 {y - 40}V{y - 36}Q96 {y - 26} 112 {y - 24}T150 {y - 14}T200 {y - 11}"
        rim += f"T250 {y - 15}T288 {y - 24}Q304 {y - 28} 304 {y - 38}V{y - 40}Z"
        layers += path(rim, top) + ellipse(200, y - 39, 104, 24, lighter(top, 0.3))
    crown = toppings(finish, ring(8, 200, 146, 70, 14))
    return _stand() + layers + crown + topping(finish, 200, 138, 1.2) + topping("mint", 240, 150)


def bundt(base: str, top: str, finish: str) -> str:
    """A ring cake baked in a fluted tin, with glaze running down."""
    body = "M70 290C58 200 110 158 200 158S342 200 330 290C326 338 74 338 70 290Z"
    flutes = "M108 192C88 230 88 280 104 318M152 172C136 220 136 290 150 328"
    flutes += "M248 172C264 220 264 290 250 328M292 192C312 230 312 280 296 318"
    glaze = "M94 214C106 168 160 158 200 158S294 168 306 214C312 246 290 250 284 226"
    glaze += "C278 206 262 214 262 240C262 276 234 276 232 244C230 214 210 214 208 236"
    glaze += "C206 262 182 262 180 236C178 212 158 214 156 246C154 284 126 280 128 240"
    glaze += "C128 208 112 212 110 228C106 250 88 244 94 214Z"
    return (
        plate()
        + path(body, base)
        + line(flutes, darker(base, 0.18), 5)
        + shade("M303 190C326 212 336 245 330 290 329 306 312 316 284 321 312 280 318 230 303 190Z")
        + path(glaze, top)
        + ellipse(200, 184, 48, 15, darker(top, 0.35))
        + path("M153 187A48 15 0 0 0 247 187 48 11 0 0 1 153 187Z", darker(base, 0.3))
        + grains(finish, 44, 200, 204, 92, 34)
        + gloss("M116 204Q124 182 146 175")
        + toppings(finish, [(110, 196), (145, 218), (200, 219), (255, 218), (290, 196)])
    )


def loaf(base: str, top: str, finish: str) -> str:
    """A tin loaf with a glazed dome and one slice cut off."""
    crumb = lighter(base, 0.4)
    dome = "M64 226C54 176 90 160 132 164H262C322 158 346 186 334 228L322 316Q320 326 308 326"
    glaze = "M62 222C52 174 92 156 132 160H262C326 154 350 188 336 226C332 244 314 240 310 226"
    glaze += "C304 212 290 214 286 232 280 262 256 258 254 230 250 214 236 214 232 224 "
    glaze += "226 240 208 238 204 222H62Z"
    cut = "M54 232C44 186 84 174 122 178S186 190 178 234L170 316Q168 326 158 326H76Q66 326 64 316Z"
    return (
        plate()
        + path(f"{dome}H76Q66 326 64 316Z", darker(base, 0.08))
        + shade("M336 226L322 316Q320 326 308 326H280L296 220Z", 0.1)
        + path(glaze, top)
        + path(cut, darker(base, 0.12))
        + path(cut, crumb, ' transform="translate(13 24) scale(.89)"')
        + grains(finish, 34, 116, 258, 42, 50)
        + dots(strewn(12, 116, 260, 40, 52), blend(crumb, base, 0.6), 4)
        + path("M54 232C44 186 84 174 122 178S186 190 178 234Q168 206 118 202T54 232Z", top)
        + gloss("M206 178H262", 0.5)
        + toppings(finish, [(222, 184), (262, 182), (300, 190)], 0.95)
    )


def _wedge(layers: list[tuple[str, float]], top: str) -> str:
    """A slice seen from its cut side: layers from the top down, each a colour and a height."""
    face, y = "", 208.0
    for colour, height in layers:
        face += rect(72, y, 256, height + 0.6, 0, colour)
        y += height
    drops = "M72 202H328V226q-14 18-28 0t-26 2q-13 26-30 0t-28-2q-14 16-28 2"
    drops += "t-28-2q-12 22-28 2t-28-2q-12 14-24 0Z"
    return (
        face
        + shade("M290 208H328V318H290Z", 0.1)
        + path(drops, top)
        + path("M72 206L262 138Q330 150 328 206Z", lighter(top, 0.15))
        + gloss("M128 194L240 154", 0.35, 7)
    )


def slice_(base: str, top: str, finish: str) -> str:
    """A slice of layer cake: three sponges, two creams."""
    cream = lighter(top, 0.45)
    sponge = [(base, 26.0), (cream, 12.0), (base, 24.0), (cream, 12.0), (base, 36.0)]
    crumbs = dots(strewn(16, 200, 262, 118, 46), darker(base, 0.15), 4)
    return (
        plate()
        + _wedge(sponge, top)
        + crumbs
        + grains(finish, 34, 236, 180, 74, 20)
        + topping("swirl", 258, 164, 1.15)
        + topping(finish, 258, 138, 1.1)
    )


def cheesecake(base: str, top: str, finish: str) -> str:
    """A slice of cheesecake: biscuit base, one thick cream, syrup on top."""
    biscuit = dots(strewn(22, 200, 302, 120, 12), "#8d5a2b", 5)
    return (
        plate()
        + _wedge([(base, 82), ("#c08a4e", 28)], top)
        + biscuit
        + grains(finish, 26, 236, 180, 74, 20)
        + toppings(finish, [(276, 154), (232, 172), (282, 182)], 1.05)
    )


def tray(base: str, top: str, finish: str) -> str:
    """A square cut from a tray, seen from a corner."""
    lid = "M200 140L334 196 200 256 66 196Z"
    return (
        plate()
        + path("M66 196L200 256V336L66 274Z", base)
        + path("M334 196L200 256V336L334 274Z", darker(base, 0.16))
        + dots(strewn(9, 132, 276, 46, 28), darker(base, 0.2), 5)
        + grains(finish, 22, 134, 264, 52, 34)
        + grains(finish, 18, 266, 264, 52, 34)
        + path("M66 196L200 256V274L66 213Z", top)
        + path("M334 196L200 256V274L334 213Z", darker(top, 0.14))
        + path(lid, lighter(top, 0.2))
        + grains(finish, 60, 200, 197, 92, 40)
        + gloss("M106 196L196 158", 0.35, 6)
        + toppings(finish, [(200, 176), (152, 198), (248, 198), (200, 222)], 0.9)
    )


def tower(base: str, top: str, finish: str) -> str:
    """Thin layers in a tall square: mille-feuille, pavê, tiramisu."""
    sides = ""
    for i in range(6):
        y, colour = 160 + i * 24, top if i % 2 == 0 else base
        sides += path(f"M72 {y + 26}L200 {y + 78}V{y + 104}L72 {y + 50}Z", colour)
        sides += path(f"M328 {y + 26}L200 {y + 78}V{y + 104}L328 {y + 50}Z", darker(colour, 0.13))
    return (
        plate()
        + place(sides, 0, -26)
        + path("M200 106L328 160 200 213 72 160Z", lighter(top, 0.25))
        + grains(finish, 70, 200, 160, 92, 38)
        + toppings(finish, [(164, 158), (204, 142), (212, 176)])
    )


def cupcake(base: str, top: str, finish: str) -> str:
    """A cupcake in its paper with a tall swirl."""
    pleats = "".join(f"M{112 + i * 22} 236L{130 + i * 17.5:.0f} 332" for i in range(9))
    tiers = ((210, 104, 36), (170, 82, 32), (134, 56, 27), (104, 30, 22))
    swirl = ""
    for y, width, height in tiers:
        edge = f"M{208 - width} {y + 10}Q200 {y + height} {196 + width} {y}"
        swirl += ellipse(200, y, width, height, top) + line(edge, darker(top, 0.1), 5)
    return (
        path("M102 232H298L272 326Q270 334 260 334H140Q130 334 128 326Z", base)
        + line(pleats, darker(base, 0.16), 4)
        + swirl
        + path("M172 98Q196 84 204 62 230 82 228 100Z", top)
        + grains(finish, 34, 200, 170, 80, 56)
        + gloss("M122 196Q132 184 146 182")
        + topping(finish, 200, 74, 1.3)
    )


def _shell(filling: str) -> str:
    flutes = "".join(f"M{72 + i * 16} 248L{86 + i * 14.2:.0f} 306" for i in range(17))
    return (
        plate()
        + path("M58 232L80 302Q200 348 320 302L342 232Z", CRUST)
        + line(flutes, darker(CRUST, 0.18), 4)
        + ellipse(200, 230, 144, 54, lighter(CRUST, 0.25))
        + ellipse(200, 233, 126, 43, darker(filling, 0.2))
        + ellipse(200, 236, 124, 40, filling)
    )


def tart(base: str, top: str, finish: str) -> str:
    """A tart in a fluted crust, covered ring by ring; `top` is the syrup between the toppings."""
    wreath = toppings(finish, ring(11, 200, 226, 100, 30), 1.05)
    heart = toppings(finish, ring(6, 200, 224, 50, 13), 1.05) + topping(finish, 200, 226, 1.1)
    return (
        _shell(base)
        + ellipse(200, 236, 104, 31, top)
        + grains(finish, 64, 200, 234, 106, 32)
        + gloss("M96 232Q108 212 140 206", 0.35, 6)
        + wreath
        + heart
    )


def _inside(x: float, y: float) -> bool:
    """Whether a point of a strip lies on the filling; both measured from the middle."""
    return (x / 122) ** 2 + y**2 <= 1


def lattice(base: str, top: str, _finish: str) -> str:
    """A pie under a lattice of pastry strips."""
    strips = ""
    for x in range(-150, 151, 50):
        for lean in (-40, 40):
            near = [t / 20 for t in range(-20, 21) if _inside(x + lean * t / 20, t / 20)]
            if near:
                a, b = near[0], near[-1]
                strips += f"M{200 + x + lean * a:.0f} {234 + 42 * a:.0f}"
                strips += f"L{200 + x + lean * b:.0f} {234 + 42 * b:.0f}"
    crimps = dots(
        ((200 + 136 * cos(a * pi / 18), 231 + 50 * sin(a * pi / 18)) for a in range(36)),
        lighter(top, 0.2),
        20,
    )
    under = place(line(strips, darker(base, 0.4), 13), 0, 3)
    return _shell(base) + under + line(strips, top, 11) + crimps


def roll(base: str, top: str, _finish: str) -> str:
    """A rolled cake whose face shows a fine spiral of filling."""
    turns = "M152 246"
    for i in range(1, 57):
        angle, far = i * pi / 6, 4 + i * 1.32
        turns += f"L{152 + far * cos(angle):.0f} {246 + far * sin(angle):.0f}"
    barrel = "M152 164H286Q352 168 352 246T286 328H152Z"
    return (
        plate()
        + path(barrel, darker(base, 0.1))
        + shade("M350 262Q344 326 286 328H152V300H270Q330 302 350 262Z", 0.16)
        + circle(152, 246, 84, darker(base, 0.18))
        + circle(152, 246, 80, base)
        + line(turns, top, 4.5)
        + dots(strewn(16, 272, 216, 56, 42), "#fffdf8", 4)
        + gloss("M200 178H282", 0.4)
    )


CAKES: dict[str, Shape] = {
    "bundt": bundt,
    "cake": cake,
    "cheesecake": cheesecake,
    "cupcake": cupcake,
    "lattice": lattice,
    "loaf": loaf,
    "naked": naked,
    "roll": roll,
    "slice": slice_,
    "tart": tart,
    "tower": tower,
    "tray": tray,
}
