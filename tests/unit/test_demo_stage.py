"""Helper processes of the demo: none outlives it, and one that dies says why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.helpers import Helper, run_python

STARTED_SECONDS = 20.0


def module(tmp_path: Path, text: str) -> str:
    """The text as a module that `python -m` finds: as a package's __main__ in the working folder."""
    (tmp_path / "story.py").write_text(text)
    return "story"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_for(helper: Helper, text: str) -> None:
    deadline = time.monotonic() + STARTED_SECONDS
    while text not in helper.tail():
        assert time.monotonic() < deadline, helper.tail()
        time.sleep(0.02)


def test_a_helper_runs_until_it_is_stopped(here: Path) -> None:
    helper = Helper("story", module(here, "import time; print('here'); time.sleep(60)"), [], here / "log", keep=False)
    try:
        wait_for(helper, "here")
        helper.check()
    finally:
        helper.stop()
    with pytest.raises(DemoError, match="story ended"):
        helper.check()


def test_a_helper_that_dies_is_reported_with_the_end_of_its_log(here: Path) -> None:
    helper = Helper("story", module(here, "raise SystemExit('no more')"), [], here / "log", keep=False)
    with pytest.raises(DemoError, match="code 1; the end of its log:\nno more"):
        for _ in range(int(STARTED_SECONDS / 0.02)):
            helper.check()
            time.sleep(0.02)


def test_settings_of_an_operator_elsewhere_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTKUBE_PROVIDER_URL", "http://elsewhere")
    assert run_python("-c", "import os; print(os.environ.get('SPOTKUBE_PROVIDER_URL'))").strip() == "None"


def test_what_python_complains_of_is_in_the_error() -> None:
    with pytest.raises(DemoError, match="oh no"):
        run_python("-c", "raise SystemExit('oh no')")
