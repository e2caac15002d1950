"""Satisfaction: what the latest answers to surveys say, for each kind of survey.

An answer is to a survey about something. A second answer by the same person to the same survey
about the same thing replaces the first. CSAT is asked on a scale of 1 to 5, NPS on one of 0 to
10 and CES on one of 1 to 7.
"""

from collections.abc import Collection
from typing import Any

from domain.occurred import Occurred

CSAT_SATISFIED_MIN = 4
NPS_PROMOTER_MIN, NPS_DETRACTOR_MAX = 9, 6
DECIMALS = 2

Answers = dict[str, dict[str, int]]
"""By kind of survey, then by survey and what it was about, the latest score."""


def note_answer(answers: Answers, touchpoint: Occurred) -> None:
    """Keep the answer; it replaces an earlier one to the same survey about the same thing."""
    data = touchpoint.data
    # Ids hold no control characters, so that a line feed keeps the two apart.
    asked = f"{data.survey_id}\n{data.about}" if data.about is not None else data.survey_id
    answers.setdefault(data.kind, {})[asked] = data.score


def report(answers: Answers) -> dict[str, Any]:
    """The three measures, each with its number of answers; None where there is no answer."""
    return {
        "csat": csat(answers.get("csat", {}).values()),
        "nps": nps(answers.get("nps", {}).values()),
        "ces": ces(answers.get("ces", {}).values()),
    }


def csat(scores: Collection[int]) -> dict[str, Any]:
    """The mean (1 to 5), and the percentage of answers that are 4 or 5."""
    satisfied = sum(score >= CSAT_SATISFIED_MIN for score in scores)
    return {
        "answers": len(scores),
        "mean": _mean(scores),
        "satisfied_percent": _percent(satisfied, len(scores)),
    }


def nps(scores: Collection[int]) -> dict[str, Any]:
    """The percentage of 9 and 10 less the percentage of 0 to 6: from -100 to 100."""
    promoters = sum(score >= NPS_PROMOTER_MIN for score in scores)
    detractors = sum(score <= NPS_DETRACTOR_MAX for score in scores)
    return {"answers": len(scores), "score": _percent(promoters - detractors, len(scores))}


def ces(scores: Collection[int]) -> dict[str, Any]:
    """The mean effort score (1 to 7)."""
    return {"answers": len(scores), "mean": _mean(scores)}


def _mean(scores: Collection[int]) -> float | None:
    return round(sum(scores) / len(scores), DECIMALS) if scores else None


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, DECIMALS) if whole else None
