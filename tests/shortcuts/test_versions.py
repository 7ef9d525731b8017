"""A shortcut steps aside where a library is not of the version that it was compared with."""

import logging
from importlib.metadata import version

import pytest

from leagents_kedro.shortcuts import act, adam, metaworld
from leagents_kedro.shortcuts.versions import are_tried


@pytest.mark.parametrize("shortcut", [act, adam, metaworld])
def test_the_installed_versions_are_those_that_were_tried(shortcut):
    assert {library: version(library).partition("+")[0] for library in shortcut.TRIED} == shortcut.TRIED


def test_a_process_is_told_once_of_another_version(caplog):
    with caplog.at_level(logging.WARNING):
        assert not any(are_tried("draw", {"torch": "0.1", "numpy": version("numpy"), "gone": "3.0"}) for _ in range(3))
    assert [record.getMessage() for record in caplog.records] == [
        f"{library} is installed in version {found}, and the shortcut draw was tried with {expected}: the plain path "
        "is used, which is slower"
        for library, found, expected in [("torch", version("torch").partition("+")[0], "0.1"), ("gone", "none", "3.0")]
    ]


def test_a_build_of_the_tried_version_is_that_version(monkeypatch, caplog):
    monkeypatch.setattr("leagents_kedro.shortcuts.versions.version", lambda library: "2.11.0+cpu")
    assert are_tried("built", {"torch": "2.11.0"})
    assert not caplog.records
