"""Somebody in front of the shop's pages: what they do there, step by step."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error, Page, Request, Response, Route, expect

from tests.shop import ADDRESS, PASSWORD, Account

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECONDS = 15_000
# Keeps what the browser reports of the content policy, across the pages that a test opens.
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  const seen = JSON.parse(sessionStorage.getItem("violations") ?? "[]");
  seen.push(`${event.effectiveDirective} ${event.blockedURI}`);
  sessionStorage.setItem("violations", JSON.stringify(seen));
});
"""
# What Chromium says of what it was asking for when an interface of the machine came or went, as
# they do with every container.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
SETTLED = """() =>
  !document.querySelector(".skeleton, .loading, [aria-busy='true']") &&
  !document.querySelector(".glance .panel:not(:has(h2))") &&
  [...document.images].every((image) => image.loading === "lazy" || image.complete)
"""


class Visitor:
    """One browser profile with one page open.

    Attributes:
        page: what is seen.
        requests: everything that was asked for.
    """

    def __init__(
        self, browser: Browser, url: str, width: int = 1280, height: int = 900, **options: Any
    ) -> None:
        self.context = browser.new_context(
            base_url=url,
            viewport={"width": width, "height": height},
            **{"locale": "pt-BR"} | options,
        )
        self.context.set_default_timeout(SECONDS)
        self.context.add_init_script(WATCH_POLICY)
        self.requests: list[Request] = []
        self.failures: list[str] = []
        self._interrupted = False
        self.page = self.open()

    def open(self) -> Page:
        """Another tab of the same profile."""
        page = self.context.new_page()
        page.on("request", lambda request: self.requests.append(request))
        page.on("requestfailed", self._note_interruption)
        page.on("pageerror", lambda error: self.failures.append(str(error)))
        return page

    def leave(self) -> None:
        """Close everything."""
        self.context.close()

    def complaints(self) -> list[str]:
        """What went wrong in scripts, and what the content policy stopped."""
        found = "JSON.parse(sessionStorage.getItem('violations') ?? '[]')"
        pages = [page for page in self.context.pages if page.url.startswith("http")]
        return self.failures + [each for page in pages for each in page.evaluate(found)]

    def _note_interruption(self, request: Request) -> None:
        self._interrupted |= request.failure == NETWORK_CHANGED

    # What a shopper does

    def load(self, path: str) -> None:
        """Open a page, again if the machine's network changed while it was loaded."""
        for _ in range(3):
            self._interrupted = False
            try:
                self.page.goto(path)
            except Error as error:
                if NETWORK_CHANGED not in str(error):
                    raise
                continue
            if not self._interrupted:
                return

    def go(self, path: str) -> None:
        """Open a page of the shop and wait until something is on it."""
        self.load(path)
        self.page.wait_for_selector("main :is(h1, h2):visible")

    def settle(self) -> None:
        """Wait until nothing is a skeleton any more and the pictures in sight are there."""
        self.page.wait_for_function(SETTLED)

    def add(self, product: dict[str, Any], quantity: int = 1) -> None:
        """Put a product into the cart, on its page."""
        self.go(f"/products/{product['id']}")
        self.page.get_by_label("Quantidade", exact=True).fill(str(quantity))
        self.page.get_by_role("button", name="Pôr na cesta").click()
        expect(self.page.get_by_role("dialog")).to_be_visible()
        line = self.page.locator(f"[data-product='{product['id']}'] output")
        expect(line).to_have_text(str(quantity))

    def check_out(self) -> None:
        """From the open cart to the checkout."""
        self.page.get_by_role("link", name="Fechar o pedido").click()
        expect(self.page.get_by_role("heading", name="Fechar o pedido")).to_be_visible()

    def register(self) -> str:
        """Make an account on the way; its address."""
        email = f"{uuid.uuid4().hex[:12]}@example.com"
        self.page.get_by_role("radio", name="Criar conta").check()
        self.page.get_by_label("Nome", exact=True).fill("Ana Souza")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Senha").fill(PASSWORD)
        self.page.get_by_role("button", name="Criar conta").click()
        expect(self.page.get_by_text(email)).to_be_visible()
        return email

    def sign_in(self, account: Account, path: str = "/account") -> None:
        """Log in on the account's page, or at the console's door."""
        self.load(path)
        self.page.get_by_label("E-mail").fill(account.email)
        self.page.get_by_label("Senha").fill(account.password)
        self.page.get_by_role("button", name="Entrar").click()
        self.page.wait_for_selector("form:has([name=password])", state="detached")

    def fill_address(self, **changes: str) -> None:
        """Write the address of the examples, with changes."""
        for name, value in {**ADDRESS, **changes}.items():
            self.page.locator(f".checkout [name={name}]").fill(value)

    @property
    def buy(self) -> Any:
        """The button that buys."""
        return self.page.get_by_role("button", name="Comprar por")

    def expect_status(self, status: str) -> str:
        """Wait until the order's page says so; the order's id."""
        self.page.wait_for_selector(f".order[data-status={status}]", timeout=SECONDS)
        return self.page.url.rsplit("/", 1)[1]


def lose_answer(route: Route) -> Response | None:
    """Let the shop do what was asked, and drop its answer."""
    route.fetch()
    route.abort("connectionreset")
    return None
