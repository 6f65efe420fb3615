"""Draws the picture of a product as SVG, always the same for the same product.

`python -m catalog.demo.pictures OUT_DIR` writes every picture of the demo shop and a page of all.
"""

import sys
from hashlib import sha256
from html import escape
from pathlib import Path
from zlib import crc32

from catalog.demo.palette import FLAVOURS, blend, lighter
from catalog.demo.products import PRODUCTS, DemoProduct
from catalog.demo.shapes import SHAPES
from catalog.demo.shapes.pen import circle, ellipse, line

_HEART = "M20 27C8 19 10 10 16 11Q19 12 20 15 21 12 24 11C30 10 32 19 20 27Z"

# Wall colour and the pattern that tells one shelf of the shop from another, on a 40 x 40 tile.
_WALLS: dict[str, tuple[str, str]] = {
    "bolos": ("#f9dcd3", '<path d="M0 0h20v40H0z"/>'),
    "tortas": ("#e3ebcf", '<path d="M0 0h20v40H0zM0 0h40v20H0z"/>'),
    "docinhos": ("#fbdde3", '<circle cx="10" cy="10" r="5"/><circle cx="30" cy="30" r="5"/>'),
    "bombons": ("#ead9cd", '<path d="M20 6l14 14-14 14L6 20z"/>'),
    "biscoitos": ("#fbe8c2", '<path d="M0 12l10-8 10 8 10-8 10 8v8l-10-8-10 8-10-8-10 8z"/>'),
    "paes-doces": ("#f8dfbf", '<path d="M0 0h20L0 20zM40 0v20L20 40H0z"/>'),
    "regionais": ("#d5e8df", '<path d="M20 4l4 12 12 4-12 4-4 12-4-12-12-4 12-4z"/>'),
    "sobremesas": ("#d6e6ee", '<path d="M0 20a20 20 0 0 1 40 0 20 14 0 0 0-40 0z"/>'),
    "presentes": ("#e9dcee", f'<path d="{_HEART}"/>'),
}


def draw(product: DemoProduct) -> str:
    """The picture of a demo product, an SVG document of at most 6 KB."""
    picture = product.picture
    shape = SHAPES[picture.shape]
    sweet = shape(FLAVOURS[picture.base], FLAVOURS[picture.top], picture.topping)
    return _scene(product.name, *_WALLS[product.category_slug], sweet)


def placeholder(name: str) -> str:
    """A neutral picture for a product that has none: a wrapped sweet in colours of its name."""
    digest = sha256(name.encode("utf-8", "replace")).digest()
    walls, flavours = sorted(_WALLS.values()), sorted(FLAVOURS.values())
    wall, pattern = walls[digest[0] % len(walls)]
    colour = flavours[digest[1] % len(flavours)]
    sweet = SHAPES["wrapped"](colour, lighter(colour, 0.55), "")
    return _scene(name, wall, pattern, sweet)


def _scene(title: str, wall: str, pattern: str, sweet: str) -> str:
    """Wall, table, light and shadow, the same for all, around one sweet."""
    # Named by content: pictures inlined in one page may share a definition, never mix them up.
    tile = f"t{crc32((wall + pattern).encode()):x}"
    table = blend(wall, "#c98f5e", 0.42)
    label = escape(_printable(title))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" role="img">'
        f"<title>{label}</title><defs>"
        f'<pattern id="{tile}" width="40" height="40" patternUnits="userSpaceOnUse" '
        f'fill="{lighter(wall, 0.42)}">{pattern}</pattern>'
        '<radialGradient id="s"><stop stop-color="#3b1a10" stop-opacity=".34"/>'
        '<stop offset=".6" stop-color="#3b1a10" stop-opacity=".2"/>'
        '<stop offset="1" stop-color="#3b1a10" stop-opacity="0"/></radialGradient></defs>'
        f'<path d="M0 0h400v400H0z" fill="{wall}"/>'
        f'<path d="M0 0h400v290H0z" fill="url(#{tile})"/>'
        + circle(200, 196, 168, "#fffaf2", ' opacity=".5"')
        + f'<path d="M0 284h400v116H0z" fill="{table}"/>'
        + line("M0 286H400", lighter(table, 0.4), 4)
        + ellipse(200, 338, 186, 34, "url(#s)")
        + sweet
        + "</svg>\n"
    )


def _printable(text: str) -> str:
    """Drop what XML 1.0 does not allow even as an escape: control characters and surrogates."""
    return "".join(c for c in text if c.isprintable())


def _contact_sheet() -> str:
    cells = "".join(f'<img src="{p.sku}.svg" title="{escape(p.name)}">' for p in PRODUCTS)
    style = (
        "body{display:grid;grid-template-columns:repeat(8,1fr);gap:8px;margin:8px}img{width:100%}"
    )
    return f'<!doctype html><meta charset="utf-8"><style>{style}</style>{cells}\n'


def main(out: Path) -> None:
    """Write every picture and `index.html` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for product in PRODUCTS:
        (out / f"{product.sku}.svg").write_text(draw(product), encoding="utf-8")
    (out / "index.html").write_text(_contact_sheet(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
