"""The help of every command fits the terminal, with straight columns."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from ferd.cli.help import lay_out
from ferd.cli.main import parser


def all_parsers(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield top
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from all_parsers(sub)


PARSERS = [one.prog for one in all_parsers(parser())]


@pytest.mark.parametrize("columns", [60, 80, 130])
@pytest.mark.parametrize("prog", PARSERS)
def test_every_help_fits_its_terminal(prog: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = next(one for one in all_parsers(parser()) if one.prog == prog).format_help()
    for line in shown.splitlines():
        alone = len(line.split("  ")) <= 2 and line.startswith("  ")  # one example that is longer than the terminal
        assert len(line) <= columns or alone, line


def test_neighbouring_examples_share_a_column() -> None:
    text = "Examples:\n  a b  one\n  a longer c     two\n       and more\n\nWords that\nare wrapped.\n"
    assert list(lay_out(text, 40)) == [
        "Examples:",
        "  a b         one",
        "  a longer c  two and more",
        "",
        "Words that are wrapped.",
    ]


def test_a_long_example_has_its_meaning_below() -> None:
    text = "  short   meaning of it\n  a very long example of a command line indeed   its meaning\n"
    assert list(lay_out(text, 50)) == [
        "  short  meaning of it",
        "  a very long example of a command line indeed",
        "         its meaning",
    ]


def test_lines_without_a_meaning_stay_as_they_are() -> None:
    text = '  [cameras.desk]\n  source = "/dev/video0"\n'
    assert list(lay_out(text, 80)) == ["  [cameras.desk]", '  source = "/dev/video0"']
