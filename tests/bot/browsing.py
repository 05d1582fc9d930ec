"""The browser of the tests: opening the playground in Chromium and writing on its phones."""

from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def opened(browser: Browser, address: str, width: int, height: int) -> Iterator[Page]:
    """A page on which every phone has been filled; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(5000)
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    expect(page.locator(".log[aria-busy=false]")).to_have_count(5)
    expect(page.locator("#now")).not_to_be_empty()
    yield page
    page.close()
    # A refusal by the server is part of some tests, and the browser notes each.
    assert [line for line in complaints if "Failed to load resource" not in line] == []


def write(page: Page, phone: str, text: str) -> None:
    page.fill(f"{phone} textarea", text)
    page.press(f"{phone} textarea", "Enter")


def unhindered(page: Page) -> None:
    """Nothing on the page hinders who reads it by ear, with a keyboard or with weak eyes, as far as axe finds it."""
    response = Axe().run(page).response
    found = response["violations"]
    assert response["passes"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []
