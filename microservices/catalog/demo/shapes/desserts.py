"""What is eaten with a spoon: puddings, cups, ices and jars."""

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
    repeat,
    shade,
    strewn,
)
from catalog.demo.shapes.toppings import grains, topping, toppings


def flan(base: str, top: str, finish: str) -> str:
    """A ring pudding with sauce running down into the plate."""
    return (
        plate()
        + ellipse(200, 318, 132, 24, top, ' opacity=".85"')
        + path("M102 196L76 300Q72 330 200 330T324 300L298 196Z", base)
        + shade("M298 196L324 300Q322 322 262 328 284 280 280 240 276 210 268 196Z", 0.12)
        + dots(strewn(16, 200, 280, 100, 34), darker(base, 0.1), 5)
        + drip(200, 196, 98, 26, (30, 8, 66, 10, 40, 6, 78, 8, 34), top)
        + ellipse(200, 194, 34, 10, darker(top, 0.45))
        + gloss("M122 190Q140 178 166 176", 0.5, 6)
        + toppings(finish, [(134, 186), (266, 186), (168, 208), (232, 208)])
    )


def quindim(base: str, top: str, _finish: str) -> str:
    """Shining little rings of egg yolk on a coconut base."""
    one = (
        path("M-96 30C-96 70 96 70 96 30L88 8H-88Z", blend(base, "#b9743f", 0.45))
        + dots(strewn(24, 0, 40, 84, 16), lighter(base, 0.5), 5)
        + path("M-98 26C-100-56 100-56 98 26 60 48-60 48-98 26Z", base)
        + ellipse(0, -12, 30, 12, darker(base, 0.3))
        + path("M-29-9A30 12 0 0 0 29-9 30 8 0 0 1-29-9Z", top)
        + gloss("M-74 4Q-64-22-34-28M52-26Q62-22 70-12", 0.75, 7)
    )
    return plate() + repeat(one, [(200, 214, 0.8), (122, 268, 0.84), (278, 268, 0.84)])


def glass(base: str, top: str, finish: str) -> str:
    """A tall cup of mousse under its sauce."""
    bowl = "M112 128L134 280Q138 300 160 300H240Q262 300 266 280L288 128Z"
    return (
        path("M188 298H212V326H188Z", "#e3ecec")
        + ellipse(200, 330, 62, 13, "#cfdcdc")
        + ellipse(200, 327, 62, 12, "#eef5f4")
        + path(bowl, "#ffffff", ' opacity=".45"')
        + path("M120 158L136 276Q140 290 160 290H240Q260 290 264 276L280 158Z", base)
        + path("M118 142L124 184Q160 200 200 186T276 184L282 142Z", top)
        + ellipse(200, 142, 82, 19, lighter(top, 0.2))
        + dots(strewn(12, 200, 246, 48, 34), lighter(base, 0.4), 6)
        + shade("M288 128L266 280Q262 300 240 300H222Q244 240 250 128Z", 0.07)
        + line("M113 130A88 20 0 0 0 287 130A88 20 0 0 0 113 130", "#fff", 5, ' opacity=".8"')
        + gloss("M134 168L146 262", 0.6)
        + grains(finish, 26, 200, 140, 70, 14)
        + toppings(finish, [(182, 122), (222, 124), (202, 136)], 1.1)
    )


def verrine(base: str, top: str, finish: str) -> str:
    """A straight glass in which the layers show: trifle, cake in a cup."""
    layers = "".join(
        path(f"M108 {y}H292V{y + 32}Q200 {y + 46} 108 {y + 32}Z", colour)
        for y, colour in ((270, base), (238, top), (206, base), (174, lighter(top, 0.3)))
    )
    crumbs = dots(strewn(16, 200, 296, 84, 10) + strewn(16, 200, 232, 84, 9), darker(base, 0.3), 6)
    return (
        rect(96, 110, 208, 222, 22, "#eef5f4")
        + layers
        + crumbs
        + ellipse(200, 172, 92, 20, lighter(top, 0.5))
        + grains(finish, 44, 200, 172, 80, 15)
        + toppings("swirl", [(146, 160), (254, 160), (200, 168)], 1.1)
        + toppings(finish, [(146, 138), (254, 138), (200, 144)], 0.95)
        + gloss("M109 136V312", 0.6, 14)
        + line("M98 116A102 18 0 0 0 302 116", "#fff", 5, ' opacity=".7"')
    )


def cone(base: str, top: str, finish: str) -> str:
    """Two scoops of ice cream in a wafer cone."""
    wafer = "M136 208H264L206 346Q200 354 194 346Z"
    scoop = "M-70 0C-74-84 74-84 70 0 76 22 52 24 44 12 34 28 14 26 4 14-8 28-30 26-40 12-54 26-76 20-70 0Z"
    grid = "M152 216L222 314M182 216L236 284M214 216L248 256M248 216L178 314M218 216L164 284M186 216L152 256"
    return (
        path(wafer, "#dba35c")
        + line(grid, "#b9793c", 4)
        + place(
            path(scoop, base)
            + shade(
                "M46-50C66-28 70-8 70 4 72 14 66 18 58 20 48 20 44 16 44 12 58-10 56-34 46-50Z",
                0.12,
            ),
            200,
            204,
            1.14,
        )
        + place(path(scoop, top) + gloss("M-46-22Q-38-46-14-54", 0.5), 200, 138)
        + grains(finish, 30, 200, 110, 50, 34)
        + topping(finish, 206, 70, 1.3)
    )


def bowl(base: str, top: str, finish: str) -> str:
    """A bowl of açaí or ice cream, covered with fruit."""
    fruits = toppings("banana", [(118, 180), (152, 194), (188, 200)], 1.1)
    fruits += toppings("strawberry", [(256, 170), (286, 184)], 1.1) + topping("blueberry", 232, 196)
    return (
        path("M66 192Q70 326 150 330H250Q330 326 334 192Z", top)
        + shade("M334 192Q330 326 250 330H220Q290 300 296 192Z", 0.12)
        + line("M88 256Q200 292 312 256", lighter(top, 0.5), 8, ' stroke-dasharray="1 20"')
        + ellipse(200, 192, 134, 40, darker(top, 0.15))
        + ellipse(200, 190, 124, 34, base)
        + path(
            "M84 186Q96 132 160 140 196 110 246 136 306 130 316 186Q200 230 84 186Z",
            lighter(base, 0.1),
        )
        + grains(finish, 40, 200, 160, 84, 20)
        + fruits
        + topping("mint", 216, 152, 1.1)
    )


def popsicle(base: str, top: str, finish: str) -> str:
    """Two ice lollies with a filling, dipped at the tip."""
    body = "M-56 90V-50Q-56-118 0-118T56-50V90Q56 100 46 100H-46Q-56 100-56 90Z"
    dip = "M-56-10V-50Q-56-118 0-118T56-50V-10q-10 22-22 0t-22 4-22-4-22 4-24-4Z"
    one = (
        rect(-13, 90, 26, 76, 12, "#e6c28e")
        + path(body, base)
        + path(dip, top)
        + shade("M26-108Q56-96 56-50V90Q56 100 46 100H26Z", 0.1)
        + line("M-22 10V76M22 10V76", darker(base, 0.08), 10)
        + grains(finish, 26, 0, -60, 44, 44)
        + toppings(finish, [(-24, 26), (24, 42), (-14, 76)], 0.8)
        + gloss("M-38-30V-56Q-36-84-20-94", 0.5)
    )
    return repeat(one, [(254, 190, 0.86, 14), (150, 206, 0.96, -10)])


def jar(base: str, top: str, finish: str) -> str:
    """A jar under a cloth lid; pieces of the topping float in it."""
    inside = toppings(finish, [(128, 196), (272, 196), (130, 294), (270, 294)], 1.05)
    check = "M126 96L110 132M160 92L152 136M200 90V138M240 92L248 136M274 96L290 132M106 116Q200 130 294 116"
    return (
        rect(88, 146, 224, 184, 40, "#e9f1ee")
        + rect(97, 158, 206, 164, 32, base)
        + inside
        + gloss("M112 190V284", 0.5, 10)
        + rect(138, 214, 124, 76, 10, "#fff6e4")
        + line("M150 226H250M150 278H250", darker(base, 0.1), 3)
        + topping(finish if inside else "heart", 200, 252, 1.1)
        + path(
            "M118 88Q200 66 282 88L308 138Q296 148 282 140T248 144T212 144T176 144T142 144T92 138Z",
            top,
        )
        + line(check, lighter(top, 0.6), 5)
        + line("M110 146Q200 160 290 146", "#c4914f", 7)
    )


def scoops(base: str, top: str, finish: str) -> str:
    """Three scoops in a footed glass with a wafer."""

    def scoop(x: float, y: float, colour: str) -> str:
        return circle(x, y, 56, colour) + gloss(f"M{x - 34} {y - 14}q8-22 26-28", 0.5, 7)

    return (
        place(
            rect(-15, -90, 30, 120, 8, "#dba35c")
            + line("M-15-60H15M-15-30H15M0-90V20", "#b9793c", 3),
            290,
            120,
            1,
            24,
        )
        + scoop(142, 168, base)
        + scoop(258, 168, blend(base, top, 0.6))
        + scoop(200, 128, top)
        + path(
            "M200 72C236 72 256 96 254 130 244 158 236 128 224 132 214 170 196 160 192 136 178 128 168 162 146 132 146 96 166 72 200 72Z",
            "#54301f",
        )
        + grains(finish, 22, 200, 104, 40, 24)
        + topping("cherry", 202, 62, 1.1)
        + path(
            "M76 186H324Q316 282 232 292V312Q272 316 276 330H124Q128 316 168 312V292Q84 282 76 186Z",
            "#f4f8f7",
        )
        + shade(
            "M324 186Q316 282 232 292V312Q272 316 276 330H236Q220 300 240 270 270 240 276 186Z",
            0.08,
        )
        + gloss("M98 206Q106 250 140 268", 0.9)
    )


DESSERTS: dict[str, Shape] = {
    "bowl": bowl,
    "cone": cone,
    "flan": flan,
    "glass": glass,
    "jar": jar,
    "popsicle": popsicle,
    "quindim": quindim,
    "scoops": scoops,
    "verrine": verrine,
}
