# -*- coding: utf-8 -*-
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Why an installation or a removal is not possible."""

from __future__ import annotations

from dataclasses import dataclass


class InstallError(Exception):
    """The wrapper cannot be installed or removed. The message names the place, the reason and the fix."""


@dataclass
class Refusal:
    """A reason not to install the wrapper on this host.

    Attributes:
        option: The option concerned; empty if the reason is not an option's.
        message: The rest of the sentence that the option's name begins: what is wrong, and how to fix it.
    """

    option: str
    message: str

    def __str__(self) -> str:
        return f"{self.option} {self.message}".lstrip()


class RefusedError(InstallError):
    """The wrapper may not be installed as requested.

    Attributes:
        refusals: All the reasons.
    """

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__("; ".join(map(str, refusals)))
        self.refusals = refusals
