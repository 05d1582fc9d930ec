"""Fixtures of the tests with a browser."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.bot.browsing import FLAGS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("LINLI_TEST_CHROMIUM") or shutil.which("chromium")
    if not path:
        if os.environ.get("LINLI_TEST_BROWSER") == "require":
            pytest.fail("LINLI_TEST_BROWSER=require, but there is no chromium")
        pytest.skip("no chromium: install it or name it in LINLI_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()
