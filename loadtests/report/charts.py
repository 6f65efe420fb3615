"""Charts as SVG that a page may hold: its colours are the page's, so both themes can be read."""

from __future__ import annotations

import re
import sys

import pygal
from pygal.style import Style

from loadtests.report.document import Chart
from loadtests.report.wording import Wording

# pygal puts a finder for its plug-ins among Python's own. Nobody needs it here, and it is of a kind
# that Python 3.11 warns of at every import that fails.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "pygal"]

# Small, for on a phone a chart is as wide as the screen and its letters shrink with it.
_WIDTH, _HEIGHT = 460, 300
_COLOURS = tuple(f"var(--series-{number})" for number in range(1, 7))
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--soft)",
    foreground_strong="var(--text)",
    foreground_subtle="var(--line)",
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    guide_stroke_dasharray="none",
    major_guide_stroke_dasharray="none",
    colors=_COLOURS,
    value_colors=("var(--text)",) * len(_COLOURS),
    font_family="inherit",
    label_font_size=13,
    major_label_font_size=13,
    value_font_size=12,
    title_font_size=13,
    no_data_font_size=16,
    opacity="1",
    opacity_hover="1",
    stroke_width=2.5,
    transition="0s",
)


def svg(chart: Chart, wording: Wording) -> str:
    """The chart as an `svg` element without scripts; its title is for the page to give."""
    options = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "style": _STYLE,
        "js": (),
        "disable_xml_declaration": True,
        # The page has a legend of its own, which may wrap.
        "show_legend": False,
        "x_title": wording.say(chart.x),
        "y_title": wording.say(chart.y),
        "value_formatter": wording.number,
        "range": (0, _most(chart)),
        "margin": 8,
        "no_data_text": "-",
        "max_scale": 8,
    }
    if chart.kind == "lines":
        drawn = pygal.XY(include_x_axis=False, dots_size=2.5, **options)
        drawn.x_value_formatter = wording.number
    else:
        shown = {"print_values": len(chart.labels) <= 4, "print_values_position": "top"}
        drawn = pygal.Bar(**shown, **options)
        drawn.x_labels = [wording.say(label) for label in chart.labels]
    for name, values in chart.series:
        drawn.add(wording.say(name), values)
    text = str(drawn.render(is_unicode=True))
    # Its settings, for tooltips that a page without scripts does not have.
    return re.sub(r"(?s)<script\b.*?</script>", "", text)


def _most(chart: Chart) -> float:
    """The top of the axis: a little above the highest bar, so that its number has room."""
    values = [value for _, points in chart.series for value in points]
    if chart.kind == "lines":
        return float(max((y for _, y in values), default=1)) or 1.0
    return 1.12 * max((value or 0 for value in values), default=1) or 1.0
