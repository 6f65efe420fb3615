"""Size and speed of the first view, measured in Chromium and written to `reports/`."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import CDPSession

from local.settings import REPOSITORY
from tests.browser.visitor import Visitor

MOST_BYTES = 50 * 1024
MOST_REQUESTS = 15
MOST_SHIFT = 0.02
REPORT = REPOSITORY / "reports" / "storefront.json"
WATCH_SPEED = """
window.speed = { shift: 0, lcp: 0, long: [] };
const watch = (type, act) =>
  new PerformanceObserver((list) => list.getEntries().forEach(act))
    .observe({ type, buffered: true });
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) speed.shift += entry.value; });
watch("largest-contentful-paint", (entry) => { speed.lcp = entry.startTime; });
watch("longtask", (entry) => speed.long.push(Math.round(entry.duration)));
"""


def note(**figures: Any) -> None:
    """Add to the report."""
    REPORT.parent.mkdir(exist_ok=True)
    known = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    REPORT.write_text(json.dumps(known | figures, indent=2) + "\n")


def settled(visitor: Visitor, path: str) -> None:
    visitor.page.goto(path)
    visitor.page.wait_for_selector(".card:not(.skeleton) img")
    visitor.page.wait_for_load_state("networkidle")


def test_the_first_view_is_light_and_the_second_costs_nothing(visitor: Visitor) -> None:
    wire: CDPSession = visitor.context.new_cdp_session(visitor.page)
    wire.send("Network.enable")
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    statuses: dict[str, int] = {}
    wire.on(
        "Network.requestWillBeSent", lambda e: names.update({e["requestId"]: e["request"]["url"]})
    )
    wire.on(
        "Network.responseReceivedExtraInfo",
        lambda e: statuses.update({e["requestId"]: e["statusCode"]}),
    )
    wire.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    settled(visitor, "/")
    without_pictures = {id: url for id, url in names.items() if "/images/" not in url}
    weight = sum(sizes.get(id, 0) for id in without_pictures)
    # A browser asks for the icon by itself; one without a window does not.
    requests = len(without_pictures) + (0 if any("feira.svg" in u for u in names.values()) else 1)
    note(first_view={"bytes_with_headers": weight, "requests": requests})
    assert weight <= MOST_BYTES
    assert requests <= MOST_REQUESTS
    for seen in (names, sizes, statuses):
        seen.clear()
    settled(visitor, "/")
    files = {id for id, url in names.items() if "/assets/" in url}
    assert {statuses[id] for id in files if id in statuses} <= {304}
    again = sum(sizes.get(id, 0) for id in files)
    note(second_view={"bytes_of_files": again})
    assert again < 8 * 1024


def test_nothing_moves_and_a_slow_machine_is_enough(visitor: Visitor) -> None:
    visitor.context.add_init_script(WATCH_SPEED)
    wire = visitor.context.new_cdp_session(visitor.page)
    wire.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    figures = {}
    for name, path, width in (
        ("home, wide", "/", 1280),
        ("home, phone", "/", 390),
        ("search, phone", "/?q=chocolate", 390),
    ):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        settled(visitor, path)
        figures[name] = visitor.page.evaluate("speed")
    visitor.page.goto("/products/1")
    visitor.page.wait_for_selector(".product:not(.loading)")
    visitor.page.wait_for_load_state("networkidle")
    figures["product, phone"] = visitor.page.evaluate("speed")
    note(at_a_quarter_of_the_speed=figures)
    assert {name: f["shift"] for name, f in figures.items() if f["shift"] > MOST_SHIFT} == {}
    assert all(f["lcp"] > 0 for f in figures.values())
