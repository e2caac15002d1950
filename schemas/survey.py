"""Surveys: how satisfied, how likely to recommend, how much effort."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.fields import Id, PersonalText
from schemas.refusal import refused
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown, trailing

SurveyKind = Literal["csat", "nps", "ces"]

SCORES: dict[str, tuple[int, int]] = {"csat": (1, 5), "nps": (0, 10), "ces": (1, 7)}
"""The lowest and the highest score of each kind: satisfaction, recommendation, effort."""


def _score_rules() -> list[dict[str, Any]]:
    """What SCORES says, in the words of JSON Schema."""
    return [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": {"score": {"minimum": lowest, "maximum": highest}}},
        }
        for kind, (lowest, highest) in SCORES.items()
    ]


@fact
class SurveyAnswered(Touchpoint):
    """The customer gave a score; `about` is the id of the ticket, order, call or conversation."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"allOf": [*_score_rules()]}
    )

    TYPE = "survey.answered.v1"
    CHANNEL = "survey"

    survey_id: Id
    kind: SurveyKind
    score: Annotated[int, Field(ge=0, le=10)]
    about: Id | None = None
    comment: PersonalText = None

    @model_validator(mode="after")
    def _score_is_of_its_kind(self) -> Self:
        lowest, highest = SCORES[self.kind]
        if not lowest <= self.score <= highest:
            message = "the score is outside the range of its kind: csat 1-5, nps 0-10, ces 1-7"
            raise refused(("score",), "score_range", message, self.score)
        return self

    def summary(self) -> str:
        rated = f"rated {self.score} of {SCORES[self.kind][1]} ({self.kind})"
        return rated + trailing(" about ", self.about) + trailing(": ", shown(self.comment))
