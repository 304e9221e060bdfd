# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Have a running Patroni read its callbacks, and give rcron the role that it has already.

Patroni reports changes only.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
from typing import NamedTuple

from ansible.module_utils.urls import open_url

from . import rcronctl
from .node import programs, systemd

#: How often the role may change while we look at it, before this gives up.
TRIES = 5

#: Patroni's loop_wait if its configuration has none, in seconds.
LOOP_WAIT = 10

#: Seconds for one answer of the REST API.
ANSWER_TIME = 10

#: Seconds that systemd has to reload Patroni.
RELOAD_TIME = 90.0


class AdoptionError(Exception):
    """Why rcron does not follow Patroni yet; the message is for a person."""


class Patroni(NamedTuple):
    """Patroni on this node, and rcron.

    Attributes:
        service: Patroni's unit.
        user: Whom it runs as.
        url: The URL of its REST API.
        rcronctl: The path of rcronctl.
        conf: The path of rcron.conf.
    """

    service: str
    user: str
    url: str
    rcronctl: str
    conf: str

    def adopt(self) -> str:
        """Have Patroni read its callbacks, and set the state by its role. A Patroni that does not run means passive.

        Returns:
            The state that was set, `active` or `passive`.

        Raises:
            AdoptionError: Patroni does not answer, so that the node was made passive, or its role does not last.
            ProgramError: systemd or rcronctl fail.
        """
        if not systemd.main_process(self.service):
            return self._set_passive()
        try:
            programs.output("systemctl", "reload", self.service, time_limit=RELOAD_TIME)
            # It does so between two cycles.
            time.sleep(2 * self._loop_wait())
            for _turn in range(TRIES):
                primary = self._is_primary()
                state = self._set_active() if primary else self._set_passive()
                # From now on Patroni reports changes. One that came while we asked would be overwritten by the answer.
                if self._is_primary() == primary:
                    return state
        except (OSError, ValueError, http.client.HTTPException, programs.ProgramError) as error:
            self._set_passive()
            raise AdoptionError(
                f"{self.service}, {self.url}: {error}; this node is passive until Patroni calls back"
            ) from error
        raise AdoptionError(f"{self.service}: its role changes all the time; see patronictl list")

    def _loop_wait(self) -> float:
        """Return the seconds of one of Patroni's cycles."""
        status, body = self._ask("/config")
        settings = json.loads(body) if status == 200 else {}
        if not isinstance(settings, dict):
            raise ValueError("/config is not a mapping")
        return float(settings.get("loop_wait", LOOP_WAIT))

    def _is_primary(self) -> bool:
        """Tell whether this node is the primary and holds the leader's key."""
        return self._ask("/primary")[0] == 200  # and 503 if not

    def _ask(self, path: str) -> tuple[int, bytes]:
        """Return the HTTP status and the body of an answer of the REST API."""
        try:
            # Patroni's own certificate, which may be for another name than the one that it is asked by here.
            with open_url(self.url + path, timeout=ANSWER_TIME, validate_certs=False, use_proxy=False) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    def _set_active(self) -> str:
        daemon = systemd.main_process(self.service)
        rcronctl.set_active(self.rcronctl, self.conf, "patroni", daemon, self.user)
        return "active"

    def _set_passive(self) -> str:
        rcronctl.set_passive(self.rcronctl, self.conf, "patroni")
        return "passive"
