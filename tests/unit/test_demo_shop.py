"""The demo shop: its price list is sound and every product has a picture of its own."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from catalog.demo.palette import FLAVOURS
from catalog.demo.pictures import draw, main, placeholder
from catalog.demo.products import CATEGORIES, PRODUCTS, DemoProduct
from catalog.demo.shapes import SHAPES

SVG = "{http://www.w3.org/2000/svg}"
MAX_BYTES = 6 * 1024
# All that a flat drawing needs: nothing that runs, loads or animates.
ALLOWED_TAGS = {
    SVG + tag
    for tag in (
        "svg", "title", "defs", "pattern", "radialGradient", "stop",
        "g", "use", "path", "rect", "circle", "ellipse",
    )
}  # fmt: skip
HOSTILE_NAMES = (
    "</title><script>alert(1)</script>",
    "\"' onload='alert(1)",
    "Bolo & <Torta> ]]> &amp;",
    "zero\x00bell\x07escape\x1b",
    "alone \ud800 surrogate",
    "linha\nnova\ttab",
    "",
)

every_product = pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.sku)


def duplicates(values: list[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def is_safe(svg: str) -> bool:
    """Well-formed, of known tags only, and refers to nothing but its own fragments."""
    elements = list(ElementTree.fromstring(svg).iter())
    tags = {element.tag for element in elements}
    ids = {f"#{element.get('id')}" for element in elements if element.get("id")}
    names = {name for element in elements for name in element.attrib}
    links = {element.attrib["href"] for element in elements if "href" in element.attrib}
    links |= set(re.findall(r"url\(([^)]*)\)", svg))
    return tags <= ALLOWED_TAGS and links <= ids and not any(n.startswith("on") for n in names)


def test_the_shop_has_at_least_66_products_on_9_shelves() -> None:
    assert len(PRODUCTS) >= 66
    assert len(CATEGORIES) == 9


def test_every_category_is_used_and_every_product_is_in_a_category() -> None:
    shelves = Counter(product.category_slug for product in PRODUCTS)

    assert set(shelves) == {category.slug for category in CATEGORIES}
    assert min(shelves.values()) >= 6


def test_categories_have_their_own_slug_and_name() -> None:
    assert duplicates([c.slug for c in CATEGORIES]) == []
    assert duplicates([c.name for c in CATEGORIES]) == []
    assert [c.slug for c in CATEGORIES if not re.fullmatch(r"[a-z]+(-[a-z]+)*", c.slug)] == []


@pytest.mark.parametrize("field", ["sku", "name", "description"])
def test_no_two_products_share(field: str) -> None:
    assert duplicates([getattr(product, field).casefold() for product in PRODUCTS]) == []


def test_no_two_products_are_the_same_recipe() -> None:
    recipes = Counter(product.picture for product in PRODUCTS)

    assert [recipe for recipe, count in recipes.items() if count > 1] == []


@every_product
def test_a_product_can_be_sold(product: DemoProduct) -> None:
    assert re.fullmatch(r"[A-Z0-9-]{3,32}", product.sku)
    assert 3 <= len(product.name) <= 60
    assert 40 <= len(product.description) <= 200
    assert product.description.endswith(".")
    assert product.name == product.name.strip()
    assert 100 <= product.price_cents <= 50_000
    assert 20 <= product.stock <= 400


@every_product
def test_a_picture_is_a_small_safe_square_svg_with_its_title(product: DemoProduct) -> None:
    svg = draw(product)

    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox") == "0 0 400 400"
    assert root.get("role") == "img"
    assert [title.text for title in root.iter(f"{SVG}title")] == [product.name]
    assert is_safe(svg)
    assert len(svg.encode()) <= MAX_BYTES


def test_every_picture_differs_in_its_drawing_not_only_in_its_title() -> None:
    drawings = [re.sub(r"<title>.*?</title>", "", draw(product)) for product in PRODUCTS]

    assert duplicates(drawings) == []


def test_a_picture_is_always_the_same() -> None:
    assert [draw(product) for product in PRODUCTS] == [draw(product) for product in PRODUCTS]
    assert placeholder("Bolo de nada") == placeholder("Bolo de nada")


def test_every_shape_is_drawn_by_some_product() -> None:
    assert set(SHAPES) == {product.picture.shape for product in PRODUCTS}


def test_every_topping_is_one_that_its_shape_knows() -> None:
    # A name that a shape does not know draws nothing, or one default; "classic" is a box's default.
    topped = [p for p in PRODUCTS if p.picture.topping not in ("", "classic")]
    plain = [replace(p, picture=replace(p.picture, topping="classic")) for p in topped]

    assert [p.sku for p, bare in zip(topped, plain, strict=True) if draw(p) == draw(bare)] == []


def test_flavours_are_plain_colours() -> None:
    assert [c for c in FLAVOURS.values() if not re.fullmatch(r"#[0-9a-f]{6}", c)] == []


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_placeholder_survives_a_hostile_name(name: str) -> None:
    svg = placeholder(name)

    assert is_safe(svg)
    titles = [title.text or "" for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    assert titles == ["".join(c for c in name if c.isprintable())]
    svg.encode()  # a lone surrogate would raise


def test_placeholders_of_different_names_are_not_all_alike() -> None:
    names = [f"Produto {n}" for n in range(20)]

    drawings = {re.sub(r"<title>.*?</title>", "", placeholder(name)) for name in names}

    assert len(drawings) >= 15


def test_the_program_writes_every_picture_and_a_page_of_all(tmp_path: Path) -> None:
    main(tmp_path / "pictures")

    written = {file.name for file in (tmp_path / "pictures").iterdir()}
    assert written == {f"{product.sku}.svg" for product in PRODUCTS} | {"index.html"}
    page = (tmp_path / "pictures" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'src="([^"]+)"', page) == [f"{product.sku}.svg" for product in PRODUCTS]
