# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""What holds the collection together: its parts name each other, and what they say of each other is true."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest
import yaml

from rcron import feeders, settings

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if (path / "meta" / "argument_specs.yml").is_file())
MODULES = sorted(path.name for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))


def read(*parts: str) -> object:
    return yaml.safe_load(CHECKOUT.joinpath(*parts).read_text())


def specs(role: str) -> dict:
    return read("roles", role, "meta", "argument_specs.yml")["argument_specs"]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_agree(role: str) -> None:
    """An option with a default has that very default in defaults/main.yml, and no other variable stands there."""
    defaults = read("roles", role, "defaults", "main.yml")
    options = specs(role)["main"]["options"]
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert set(defaults) <= set(options), "defaults/main.yml has a variable that argument_specs.yml has not"
    assert set(documented) <= set(defaults), "argument_specs.yml has a default that defaults/main.yml has not"
    for name, value in documented.items():
        # A default that is put together from other variables is described in words.
        if not (isinstance(defaults[name], (str, list)) and "{{" in str(defaults[name])):
            assert defaults[name] == value, name


@pytest.mark.parametrize("role", ROLES)
def test_a_roles_page_says_where_its_variables_are_documented(role: str) -> None:
    """They are described in argument_specs.yml, once; the page has no table of its own."""
    page = (CHECKOUT / "roles" / role / "README.md").read_text()
    assert f"ansible-doc --type role rcron.cluster.{role}`" in page
    assert not re.search(rf"^\| `{role}_\w+` \|", page, re.MULTILINE)


def test_no_two_roles_have_a_handler_of_one_name() -> None:
    """In one play, a task that notifies it would run the last role's only."""
    names = [
        handler["name"]
        for path in sorted(CHECKOUT.glob("roles/*/handlers/main.yml"))
        for handler in yaml.safe_load(path.read_text())
    ]
    assert len(names) == len(set(names))


def tasks_of(read: object) -> Iterator[dict]:
    for task in read if isinstance(read, list) else ():
        yield task
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
            yield from tasks_of(task.get(part))


#: Actions that run on the controller, whose answer is no host's.
CONTROLLERS = ("assert", "debug", "fail", "set_fact", "include_tasks", "include_role", "import_tasks", "import_role")


def test_no_hosts_answer_sets_variables_of_the_others() -> None:
    """Ansible sets what such an answer calls facts: on all hosts with run_once, and on this one for another one's."""
    checked = 0
    for path in sorted([*CHECKOUT.glob("roles/*/*/*.yml"), *CHECKOUT.glob("playbooks/**/*.yml")]):
        for task in tasks_of(yaml.safe_load(path.read_text())):
            is_others = task.get("run_once") or "delegate_to" in task
            if not is_others or any(f"ansible.builtin.{name}" in task for name in CONTROLLERS):
                continue
            checked += 1
            if task.get("delegate_to") != "localhost":
                assert "delegate_to" in task, (path.name, task["name"])
                assert task.get("delegate_facts") is True, (path.name, task["name"])
    assert checked > 5


#: Modules that only look, whatever the task says.
LOOKS = ("stat", "find", "slurp", "raw")


def test_every_question_to_a_host_has_a_time_limit() -> None:
    """A host that somebody has taken over may take a question and never answer, and the others would wait for it."""
    checked = 0
    for path in sorted([*CHECKOUT.glob("roles/*/tasks/*.yml"), *CHECKOUT.glob("playbooks/**/*.yml")]):
        for task in tasks_of(yaml.safe_load(path.read_text())):
            modules = [name.removeprefix("ansible.builtin.") for name in task if "." in name]
            is_module = any(name.startswith("rcron.cluster.") for name in modules)
            is_look = bool(set(modules) & set(LOOKS)) or (
                (is_module or "command" in modules) and task.get("changed_when") is False
            )
            if is_look:
                checked += 1
                limit = "{{ __rcron_patience_for_answers | default(300) }}"
                assert task.get("timeout") == limit, (path.name, task["name"])
    assert checked > 20


def test_no_fact_of_a_host_s_is_taken_for_a_time_limit_of_changes() -> None:
    """A play's variables go before facts."""
    limited = [
        play
        for path in sorted(CHECKOUT.glob("playbooks/*.yml"))
        for play in yaml.safe_load(path.read_text())
        if "timeout" in play
    ]
    for play in limited:
        assert play["timeout"] == "{{ __rcron_patience_for_changes }}", play["name"]
        limits = [play["vars"][f"__rcron_patience_for_{what}"] for what in ("answers", "changes")]
        assert limits == [300, 3600], play["name"]
    assert len(limited) == 5


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_their_roles_name(role: str) -> None:
    # The wrapper's own variables (rcron_conf, rcron_group) are everybody's.
    foreign = [name for name in specs(role)["main"]["options"] if not name.startswith(f"{role}_")]
    assert set(foreign) <= set(specs("rcron")["main"]["options"])
    for path in (CHECKOUT / "roles" / role / "vars").rglob("*.yml"):
        assert [name for name in yaml.safe_load(path.read_text()) if not name.startswith(f"__{role}_")] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_plain_ansible_library_finds_every_module(name: str) -> None:
    link = CHECKOUT / "library" / name
    assert link.is_symlink()
    assert link.resolve() == CHECKOUT / "plugins" / "modules" / name
    assert not (CHECKOUT / "plugins" / "modules" / name).is_symlink()


def test_library_holds_nothing_else() -> None:
    assert sorted(path.name for path in (CHECKOUT / "library").iterdir()) == MODULES


@pytest.mark.parametrize(
    ("folder", "licence"),
    [
        ("action", "GPL-3.0-or-later"),
        ("filter", "GPL-3.0-or-later"),
        ("plugin_utils", "GPL-3.0-or-later"),
        ("modules", "MIT"),
        ("module_utils", "MIT"),
    ],
)
def test_plugins_that_import_ansible_are_under_its_licence(folder: str, licence: str) -> None:
    files = [path for path in (CHECKOUT / "plugins" / folder).rglob("*.*") if path.suffix in (".py", ".yml")]
    assert files
    line = f"# SPDX-License-{'Identifier'}: {licence}\n"  # in two parts, for reuse to pass over it
    assert [path for path in files if line not in path.read_text()] == []
    assert licence in read("galaxy.yml")["license"]


def test_nothing_was_added_before_the_first_release() -> None:
    documented = [
        *(CHECKOUT / "plugins" / "modules").glob("*.py"),
        *(CHECKOUT / "plugins" / "filter").glob("*.yml"),
    ]
    added = {path.name: re.findall(r"^ *version_added: (.*)$", path.read_text(), re.MULTILINE) for path in documented}
    assert [name for name, versions in added.items() if not versions] == []
    assert [name for name, versions in added.items() if any(version.startswith("0.") for version in versions)] == []


def test_each_supported_ansible_core_is_tested_and_has_its_exceptions() -> None:
    """From the floor in meta/runtime.yml to the newest one that `make newest` takes."""
    matrix = read(".github", "workflows", "test.yml")["jobs"]["test"]["strategy"]["matrix"]["include"]
    versions = [leg["core"] for leg in matrix]
    assert read("meta", "runtime.yml")["requires_ansible"] == f">={versions[0]}.0"
    assert f"ansible-core=={versions[0]}." in (CHECKOUT / "requirements-dev.txt").read_text()
    assert f"ansible-core=={versions[-1]}." in (CHECKOUT / "requirements-newest.txt").read_text()
    page = (CHECKOUT / "docs" / "versions.md").read_text()
    assert f"| {', '.join(versions[:-1])} and {versions[-1]}. " in page
    exceptions = {(CHECKOUT / "tests" / "sanity" / f"ignore-{version}.txt").read_text() for version in versions}
    assert len(exceptions) == 1


def test_the_version_is_the_same_everywhere() -> None:
    import rcron

    assert read("galaxy.yml")["version"] == rcron.__version__


@pytest.mark.parametrize("name", feeders.NAMES)
def test_every_feeder_has_a_role_and_a_row_in_the_readme(name: str) -> None:
    assert f"rcron_{name}" in ROLES
    assert f"(roles/rcron_{name}/README.md)" in (CHECKOUT / "README.md").read_text()
    tasks = CHECKOUT / "roles" / f"rcron_{name}" / "tasks"
    assert {"main", "preflight", "preflight_remove", "hook"} <= {path.stem for path in tasks.iterdir()}


def test_links_lead_somewhere() -> None:
    """`make docs` checks their anchors, too, where the page is a part of the site."""
    pages = [
        path
        for pattern in ("*.md", "docs/*.md", "roles/*/README.md", "tests/*/README.md")
        for path in CHECKOUT.glob(pattern)
    ]
    dead = [
        f"{page.relative_to(CHECKOUT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_the_role_writes_every_setting_in_the_tables_order() -> None:
    assert read("roles", "rcron", "vars", "main.yml")["__rcron_conf_names"] == list(settings.SETTINGS)


@pytest.mark.parametrize("name", settings.SETTINGS)
def test_the_role_and_the_table_of_settings_agree_on_a_default(name: str) -> None:
    options = specs("rcron")["main"]["options"]
    assert f"rcron_{name}" in options
    # The role gives every cluster's hosts one active node, and each cluster its group's name.
    if "default" in options[f"rcron_{name}"] and name not in ("cluster_name", "default_state"):
        given = settings.parse(f"{name} = {options[f'rcron_{name}']['default']}", "f")
        assert getattr(given, name) == getattr(settings.parse("", "f"), name)


def test_no_file_of_the_package_looks_like_a_template() -> None:
    """Somebody who gives the module rcron_wrapper its package as text in a play has Ansible read it as one."""
    files = [path for path in (CHECKOUT / "rcron").rglob("*.py") if re.search(r"\{[{%#]", path.read_text())]
    assert files == []
