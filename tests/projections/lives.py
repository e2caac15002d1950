"""Histories in which things meet: orders under several subjects, rules for the past, voids."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from ledger.record import Record
from schemas.envelope import Envelope
from schemas.identity import (
    CustomerDescribed,
    CustomerLinked,
    CustomerMerged,
    CustomerUnmerged,
)
from schemas.loyalty import (
    LoyaltyProgrammeClosed,
    LoyaltyRulesPublished,
    PointsAdjusted,
    PointsRedeemed,
    PointsRedemptionCancelled,
)
from schemas.page import PageViewed
from schemas.purchase import OrderCancelled, OrderCompleted, OrderRefunded
from schemas.survey import SurveyAnswered
from schemas.ticket import TicketCommented, TicketMerged, TicketOpened, TicketStatusChanged
from schemas.touchpoint import Touchpoint
from tests.projections.ledgers import Workshop
from tests.schemas.strategies import CUSTOMERS, Classes, Event, envelope_of, histories, times

MEETING: tuple[type[Touchpoint], ...] = (
    OrderCompleted, OrderCompleted, OrderCompleted, OrderRefunded, OrderCancelled,
    TicketOpened, TicketCommented, TicketStatusChanged, TicketMerged,
    PointsRedeemed, PointsRedemptionCancelled, PointsAdjusted, SurveyAnswered, PageViewed,
    CustomerDescribed, LoyaltyProgrammeClosed,
)  # fmt: skip

ABOUT_ORDERS: tuple[type[Touchpoint], ...] = (OrderCompleted, OrderRefunded, OrderCancelled)
SUBJECTS = (*CUSTOMERS[:2], "email:ana@example.com")
JOINED = (*SUBJECTS, "anonymous:nobody")
EARNING = ("order.completed.v1", "order.completed.v1", "survey.answered.v1", "page.viewed.v1")
VOIDS_MAX = 4
RULES_MAX = 3
JOINS_MAX = 3
GROUPS_MAX = 6
BATCH_MAX = 50


@st.composite
def voids(draw: st.DrawFn, told: Sequence[Event]) -> list[Event]:
    """Voidings of what was told, and of each other."""
    known = list(told)
    found: list[Event] = []
    for number in range(draw(st.integers(0, VOIDS_MAX if known else 0))):
        target = draw(st.sampled_from(known))
        data = {"voided_source": target["source"], "voided_id": target["id"], "reason": "wrong"}
        subject = draw(st.sampled_from(SUBJECTS))
        found.append(_event(f"v{number}", "touchpoint.voided.v1", subject, draw(times()), data))
        known.append(found[-1])
    return found


@st.composite
def identities(draw: st.DrawFn) -> list[Event]:
    """Links and merges between few subjects, and what undoes some of them."""
    joins, parted = list[Event](), list[Event]()
    for number in range(draw(st.integers(0, JOINS_MAX))):
        subject, other = (draw(st.sampled_from(JOINED)) for _ in range(2))
        reason = {"reason": "the same"}
        if draw(st.booleans()):
            name, data = CustomerMerged.TYPE, {"other": other, **reason}
        else:
            name, data = CustomerLinked.TYPE, {"other": other}
        joins.append(_event(f"j{number}", name, subject, draw(times()), data))
    for number, join in enumerate(
        draw(st.lists(st.sampled_from(joins), max_size=2)) if joins else ()
    ):
        data = {
            "other": join["data"]["other"], "reason": "another one",
            "merge_id": join["id"], "merge_source": join["source"],
        }  # fmt: skip
        subject = draw(st.sampled_from(SUBJECTS))
        parted.append(_event(f"u{number}", CustomerUnmerged.TYPE, subject, draw(times()), data))
    return joins + parted


@st.composite
def published(draw: st.DrawFn) -> list[Event]:
    """Rules of one programme or two, valid from moments before and after they are told."""
    found = []
    for number in range(draw(st.integers(0, RULES_MAX))):
        programme = draw(st.sampled_from(("main", "main", "club")))
        earn = [
            {"rule_id": f"r{place}", "on": on, "points": draw(st.integers(1, 9))}
            for place, on in enumerate(draw(st.lists(st.sampled_from(EARNING), max_size=2)))
        ]
        data = {
            "programme": programme,
            "version": draw(st.integers(1, 3)),
            "valid_from": draw(times()),
            "earn": earn,
            "pending_days": draw(st.sampled_from((None, 3))),
            "expires_after_days": draw(st.sampled_from((None, 20))),
        }
        name = LoyaltyRulesPublished.TYPE
        found.append(_event(f"p{number}", name, f"programme:{programme}", draw(times()), data))
    return found


def _event(id_: str, type_name: str, subject: str, time: str, data: dict[str, Any]) -> Event:
    return {
        "specversion": "1.0", "id": id_, "source": "office", "type": type_name,
        "subject": subject, "time": time, "data": data,
    }  # fmt: skip


@st.composite
def lives(
    draw: st.DrawFn, classes: Classes = MEETING, *, max_size: int = 18
) -> list[Envelope[Touchpoint]]:
    """Touchpoints with distinct (source, id), in no particular order."""
    told = draw(histories(classes, SUBJECTS, min_size=max_size // 3, max_size=max_size))
    if draw(st.booleans()):
        taken = {(event["source"], event["id"]) for event in told}
        others = draw(histories(subjects=SUBJECTS, max_size=4))
        told += [event for event in others if (event["source"], event["id"]) not in taken]
    told += draw(published())
    told += draw(identities())
    told += draw(voids(told))
    return [envelope_of(event) for event in told]


@dataclass(frozen=True)
class Arrival:
    """The records of a life as they arrive: in groups, out of order, some of them again."""

    groups: list[list[Record]]
    batches: list[int]

    @property
    def records(self) -> list[Record]:
        """Each record once, as it first arrived."""
        first = {(r.source, r.id): r for group in reversed(self.groups) for r in reversed(group)}
        return list(first.values())


@st.composite
def arrivals(draw: st.DrawFn, workshop: Workshop, *, max_size: int = 18) -> Arrival:
    """A life in a shuffled order, with repetitions, cut into groups; with sizes of pages."""
    records = workshop.records(draw(lives(max_size=max_size)))
    order = draw(st.permutations(range(len(records))))
    repeated = draw(st.lists(st.sampled_from(order), max_size=3)) if order else []
    arriving = [records[place] for place in (*order, *repeated)]
    cuts = sorted(draw(st.lists(st.integers(0, len(arriving)), max_size=GROUPS_MAX - 1)))
    edges = [0, *cuts, len(arriving)]
    groups = [arriving[low:high] for low, high in pairwise(edges)]
    sizes = st.integers(1, 5) | st.integers(1, BATCH_MAX) | st.just(0)
    return Arrival(groups, [draw(sizes) for _ in groups])
