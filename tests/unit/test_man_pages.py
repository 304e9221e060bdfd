# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""The man pages tell what the code does: every setting, option, exit status and key of it, and no others."""

import argparse
import importlib
import pathlib
import re
import subprocess

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from man import build
from rcron import __main__ as command
from rcron import claim, ctl, feed, feeders, job, pin, settings, state, status
from rcron.agent import __main__ as agent
from rcron.agent import clusters, conf, ledger
from rcron.agent import feeders as agent_feeders
from rcron.agent.engines import NAMES as ENGINES

PAGES = build.sources()


def section(page: str, title: str) -> nodes.section:
    """One section of a page, as docutils reads it. page: such as `rcron.8`. title: in capitals, as it stands there."""
    tree = publish_doctree(build.text(build.FOLDER / f"{page}.rst"))
    (found,) = [one for one in tree.findall(nodes.section) if one.next_node(nodes.title).astext() == title]
    return found


def items(part: nodes.Element) -> dict[str, nodes.definition]:
    """The entries of a part's definition lists, those inside an entry left out: term -> definition."""
    lists = [child for child in part.children if isinstance(child, nodes.definition_list)]
    return {item[0].astext(): item[1] for one in lists for item in one.children}


def options(part: nodes.Element) -> set[str]:
    """All options that a part lists."""
    return {option.astext() for option in part.findall(nodes.option_string)}


@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.stem)
def test_page_is_what_its_source_gives(source: pathlib.Path) -> None:
    assert source.with_suffix("").read_text(encoding="utf-8") == build.roff(source), "stale: make man"


def test_no_page_is_without_its_source() -> None:
    assert sorted(build.FOLDER.glob("*.[0-9]")) == [source.with_suffix("") for source in PAGES]


@pytest.mark.needs("groff", "groff-base")
@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.stem)
def test_groff_has_no_complaint(source: pathlib.Path) -> None:
    page = ["groff", "-man", "-ww", "-z", "-Tutf8", source.with_suffix("")]
    assert subprocess.run(page, check=True, capture_output=True, text=True).stderr == ""


#: The values of the settings that take one of several words.
CHOICES = {
    "default_state": [settings.ACTIVE, settings.PASSIVE],
    "syslog_facility": list(settings.FACILITIES),
    "syslog_level": list(settings.LEVELS),
    "on_demotion": [settings.CONTINUE, settings.TERMINATE],
    "claim": [settings.OFF, settings.REQUIRED, settings.PREFERRED],
}

#: The settings that take any text, and what the page calls it.
TEXTS = {"cluster_name": "Any printable text", "state_file": "An absolute path", "feeder_name": "a feeder's name"}


def setting(name: str) -> str:
    """What the page says of a setting's values and default: the entry's first paragraph, on one line."""
    return items(section("rcron.conf.5", "SETTINGS"))[name].next_node(nodes.paragraph).astext().replace("\n", " ")


def accepted(name: str, value: object) -> bool:
    """Whether rcron.conf may hold this value."""
    try:
        settings.parse(f"{name} = {value}", "rcron.conf")
    except settings.ConfigError:
        return False
    return True


def test_page_has_every_setting_and_no_other() -> None:
    assert list(items(section("rcron.conf.5", "SETTINGS"))) == list(settings.SETTINGS)


@pytest.mark.parametrize("name", settings.SETTINGS)
def test_default_of_a_setting(name: str) -> None:
    default = re.fullmatch(r".* Default: (\S+)\.", setting(name))[1]
    assert getattr(settings.parse(f"{name} = {default}", ""), name) == getattr(settings.Config(""), name)


@pytest.mark.parametrize("name", settings.SETTINGS)
def test_range_of_a_setting(name: str) -> None:
    values = setting(name).rpartition(" Default: ")[0]
    if name in CHOICES:
        words = re.findall(r"LOG_[A-Z0-9]+", values) or re.split(
            ", | or ", re.search(r"((?:\w+, )*\w+ or \w+)[.,]", values)[1]
        )
        assert list(words) == CHOICES[name]
        assert all(accepted(name, word) for word in words)
    elif name in TEXTS:
        assert TEXTS[name] in values
    else:
        low, high = map(int, re.search(r"(-?\d+) to (\d+)", values).groups())
        assert [accepted(name, value) for value in (low - 1, low, high, high + 1)] == [False, True, True, False]


def test_options_of_rcron() -> None:
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command.HELP))
    assert options(section("rcron.8", "OPTIONS")) == told


def test_range_of_takeover_wait() -> None:
    assert f"0 to {settings.MAX_SECONDS}" in section("rcron.8", "OPTIONS").astext()


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """The options of a parser and of its commands: the command's words -> its options, --help of commands left out.

    Hidden ones are only accepted, because hooks from before may still say them."""
    found = {}
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    own = {option for action in shown for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found.update(commands(sub, (*words, name)))
    if not found or not words:  # `feed` alone is none
        found[" ".join(words)] = own - {"-h", "--help"} if words else own
    return found


def test_commands_and_options_of_rcronctl() -> None:
    told = {"": options(section("rcronctl.8", "OPTIONS"))}
    for term, definition in items(section("rcronctl.8", "COMMANDS")).items():
        told[term.partition(" active|")[0]] = options(definition)
    for name in feeders.NAMES:
        followed = items(section("rcronctl.8", f"FEEDING FROM {name.upper()}"))
        told[f"feed {name}"] = {term.partition(" ")[0] for term in followed if term.startswith("--")}
    assert told == commands(ctl._parser())


@pytest.mark.parametrize("name", [name for name in commands(ctl._parser()) if name])
def test_synopsis_has_every_command_of_rcronctl(name: str) -> None:
    assert f"rcronctl [--conf FILE] {name}" in section("rcronctl.8", "SYNOPSIS").astext()


def exit_statuses(*modules: object) -> set[str]:
    """The exit statuses that modules name."""
    return {str(value) for module in modules for name, value in vars(module).items() if name.startswith("EX_")}


def test_exit_statuses_of_rcron() -> None:
    told = set(items(section("rcron.8", "EXIT STATUS")))
    assert told == exit_statuses(command, job, claim) | {"N", "128+N", "passive_exit, 0 unless configured"}


def test_exit_statuses_of_rcronctl() -> None:
    assert set(items(section("rcronctl.8", "EXIT STATUS"))) == exit_statuses(ctl)


def test_keys_of_the_status(tmp_path: pathlib.Path) -> None:
    conf = settings.parse(f"state_file = {tmp_path}/state", f"{tmp_path}/rcron.conf")
    feed.accept_event(conf, settings.ACTIVE, "operator", "set active")
    pin.write(conf, settings.PASSIVE, 60)
    conf.claim = settings.REQUIRED
    facts = status.facts(conf)
    assert set(facts["settings"]) == set(settings.SETTINGS)
    facts["settings"] = None  # rcron.conf(5) lists them
    given = {key: set(value) if isinstance(value, dict) else set() for key, value in facts.items()}
    told = {}
    for term, definition in items(section("rcronctl.8", "JSON")).items():
        told.update({key: set(items(definition)) for key in term.split(", ")})
    assert told == given


def test_sources_of_a_state() -> None:
    text = items(section("rcronctl.8", "JSON"))["source"].astext()
    assert set(re.findall(r'"(\w+)"', text)) == {state.PIN, state.FILE, state.STALE, state.AGENT, state.DEFAULT}


def test_options_of_rcron_agent() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z-]+", agent.USAGE))
    assert {option.partition(" ")[0] for option in options(section("rcron-agent.8", "OPTIONS"))} == named
    assert clusters.FOLDER in section("rcron-agent.8", "OPTIONS").astext()


def test_exit_statuses_of_rcron_agent() -> None:
    assert set(items(section("rcron-agent.8", "EXIT STATUS"))) == {"0"} | exit_statuses(agent, ledger)


def test_names_in_agent_conf() -> None:
    entries = [name for term in items(section("rcron-agent.8", "AGENT.CONF")) for name in term.split(", ")]
    assert set(entries) - set(ENGINES) == set(conf.SETTINGS)
    assert set(ENGINES) - {"command"} <= set(entries)
    assert all(f"{name}" in section("rcron-agent.8", "AGENT.CONF").astext() for name in ENGINES)


def test_names_in_a_file_of_agent_d() -> None:
    assert set(items(section("rcron-agent.8", "CLUSTERS"))) == {"conf", "feeder"}


@pytest.mark.parametrize("feeder", agent_feeders.NAMES)
def test_names_of_a_feeder_in_a_file_of_agent_d(feeder: str) -> None:
    known = importlib.import_module(f"rcron.agent.feeders.{feeder}").OPTIONS
    page, title = ("rcron-agent.8", "FEEDER") if feeder not in feeders.NAMES else ("rcronctl.8", "ASKING")
    listed = items(section(page, f"{title} {feeder.upper()}"))
    entries = {name: entry.astext() for term, entry in listed.items() for name in term.split(", ")}
    assert set(entries) == set(known)
    for name, (_parser, default) in known.items():
        if default not in (None, ""):
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert f"Default: {shown}." in entries[name]
