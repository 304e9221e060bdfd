# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Any other engine, through a program: `PROGRAM claim|ended|history|check|clean|forget`.

Its environment says what is to be done, and rcron-agent(8) describes it. For `claim`, exit status 0 says that the claim
is of $RCRON_TOKEN, and 1 that it is another's, whose node and time (in seconds since the epoch) are the words of the
first line of standard output. Any other status says that it cannot tell, and the first line says why. A claim may be
asked for again, with the same token, and must then be answered as before. A program that takes longer than LIMIT is
killed.
"""

import json
import os
import threading

from rcron.agent.command import Program
from rcron.agent.conf import AgentConf
from rcron.agent.engines import KEEP, KEEP_EACH, Claim, Engine, EngineError, Holder, Run, run_of, text_of

#: How long the program may take, in seconds.
LIMIT = 5.0

MINE, OTHER = 0, 1


class Command(Engine):
    """An engine behind a program.

    Args:
        conf: The program is its `endpoints`.

    Raises:
        ValueError: That is not a program.
    """

    def __init__(self, conf: AgentConf) -> None:
        self._program = conf.endpoints
        is_program = os.path.isfile(self._program) and os.access(self._program, os.X_OK)
        if not self._program.startswith("/") or not is_program:
            raise ValueError(f'"{self._program}" is not a program; write its path, and chmod +x it')
        self._environment = {
            "RCRON_PREFIX": conf.prefix,
            "RCRON_ENGINE_USER": conf.user,
            "RCRON_ENGINE_PASSWORD": conf.password,
            "RCRON_CA_FILE": conf.ca_file,
            "RCRON_CERT_FILE": conf.cert_file,
            "RCRON_KEY_FILE": conf.key_file,
        }
        self._local = threading.local()

    def _run(self, word: str, **variables: "str | int | float") -> "tuple[int, list[str]]":
        program: Program = self._local.__dict__.setdefault("program", Program())
        environment = {f"RCRON_{name.upper()}": str(value) for name, value in variables.items()}
        if any("\0" in value for value in environment.values()):
            raise EngineError("a NUL byte in a name")
        try:
            status, output = program.run([self._program, word], LIMIT, {**self._environment, **environment})
        except OSError as error:
            raise EngineError(f"{self._program}: {error.strerror or error}") from None
        return status, output.splitlines()

    def _failed(self, status: int, lines: "list[str]") -> EngineError:
        return EngineError(f"{self._program}: {lines[0] if lines else f'exit status {status}'}")

    def claim(self, claim: Claim) -> Holder:
        """See Engine.claim."""
        status, lines = self._run("claim", **claim._asdict())
        if status == MINE:
            return Holder(claim.token, claim.node, claim.at)
        if status != OTHER:
            raise self._failed(status, lines)
        node, _blank, since = (lines[0] if lines else "").strip().rpartition(" ")
        if not since.isdecimal() or len(since) > 15:
            node, since = f"{node} {since}".strip(), "0"
        return Holder("", node or "unknown", int(since))

    def ended(self, claim: Claim, exit_status: "int | None", duration: float) -> bool:
        """See Engine.ended."""
        end = "" if exit_status is None else exit_status
        status, lines = self._run("ended", **claim._asdict(), exit=end, duration=f"{duration:.3f}")
        if status not in (MINE, OTHER):
            raise self._failed(status, lines)
        return status == MINE

    def history(self, cluster: str, user: str, job: str, limit: int, before: str = "") -> "list[Run]":
        """See Engine.history."""
        status, lines = self._run("history", cluster=cluster, user=user, job=job, limit=limit, before=before)
        if status != 0:
            raise self._failed(status, lines)
        runs = []
        for line in lines[:limit]:
            try:
                found = json.loads(line)
                key = (found["cluster"], found["user"], found["job"], found["fire"])
            except (ValueError, RecursionError, KeyError, TypeError):
                raise EngineError(f"{self._program} history: a line that is not a run's: {line[:80]}") from None
            if not all(isinstance(part, str) for part in key):
                raise EngineError(f"{self._program} history: a line that is not a run's: {line[:80]}")
            runs.append(run_of(key, found)._replace(cursor=text_of(found.get("cursor"))))
        return runs

    def check(self) -> str:
        """See Engine.check."""
        status, lines = self._run("check")
        if status != 0:
            raise self._failed(status, lines)
        return lines[0] if lines else "answers"

    def clean(self, cluster: str, node: str) -> int:
        """See Engine.clean."""
        status, lines = self._run("clean", cluster=cluster, node=node, keep=KEEP, keep_each=KEEP_EACH)
        if status != 0:
            raise self._failed(status, lines)
        return int(lines[0]) if lines and lines[0].isdecimal() and len(lines[0]) < 10 else 0

    def remarks(self) -> "list[str]":
        """See Engine.remarks. The program says everything in its `check`."""
        return []

    def forget(self, cluster: str) -> None:
        """See Engine.forget."""
        status, lines = self._run("forget", cluster=cluster)
        if status != 0:
            raise self._failed(status, lines)


def engine(conf: AgentConf) -> Engine:
    """Return the engine. Raises ValueError if there is no such program."""
    return Command(conf)
