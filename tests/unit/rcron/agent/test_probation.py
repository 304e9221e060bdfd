# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
"""Daemons that stood still while the agent did not."""

from rcron.agent.probation import Probation


def test_the_first_answer_counts_at_once() -> None:
    probation = Probation(notice=10, patience=4)
    probation.prove(100, 100.1)
    assert probation.left(100) == 0


def test_one_that_answers_in_time_is_believed_all_along() -> None:
    probation = Probation(notice=10, patience=4)
    for moment in range(100, 140, 3):
        probation.prove(moment, moment + 0.1)
        assert probation.left(moment) == 0


def test_one_that_did_not_answer_for_a_while_is_believed_after_its_notice() -> None:
    probation = Probation(notice=10, patience=4)
    probation.prove(100, 100)
    probation.prove(115, 115)
    assert probation.left(115) == 10
    probation.prove(118, 118)
    assert probation.left(118) == 7
    assert probation.left(125) == 0


def test_an_answer_that_took_long_is_no_proof_either() -> None:
    probation = Probation(notice=10, patience=4)
    probation.prove(100, 115)
    assert probation.left(115) == 10


def test_one_that_was_started_anew_is_believed_after_its_notice() -> None:
    probation = Probation(notice=10, patience=4)
    probation.prove(100, 100)
    probation.begin(101)
    probation.prove(101, 101)
    assert probation.left(101) == 10
