"""Every shape of the demo shop's pictures, by name."""

from catalog.demo.shapes.bakery import BAKERY
from catalog.demo.shapes.cakes import CAKES
from catalog.demo.shapes.desserts import DESSERTS
from catalog.demo.shapes.gifts import GIFTS
from catalog.demo.shapes.pen import Shape
from catalog.demo.shapes.sweets import SWEETS

SHAPES: dict[str, Shape] = {**CAKES, **SWEETS, **BAKERY, **DESSERTS, **GIFTS}
