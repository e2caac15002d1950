"""The registry: every touchpoint of the catalogue, in its order.

To add a type, write its class in the module of its channel and its name here.
"""

from schemas.call import CallAnswered, CallEnded, CallStarted
from schemas.chat import ChatEnded, ChatHandedOff, ChatMessagePosted, ChatStarted
from schemas.consent import ConsentGranted, ConsentWithdrawn
from schemas.correction import TouchpointVoided
from schemas.cost import CostRecorded
from schemas.email import (
    EmailBounced,
    EmailClicked,
    EmailDelivered,
    EmailOpened,
    EmailReceived,
    EmailSent,
    EmailUnsubscribed,
)
from schemas.identity import (
    CustomerDescribed,
    CustomerLinked,
    CustomerMerged,
    CustomerUnmerged,
    IdentityRulesPublished,
)
from schemas.loyalty import (
    LoyaltyProgrammeClosed,
    LoyaltyRulesPublished,
    PointsAdjusted,
    PointsRedeemed,
    PointsRedemptionCancelled,
)
from schemas.note import NoteAdded
from schemas.page import FormSubmitted, PageViewed
from schemas.privacy import PersonalDataViewed, PersonErased
from schemas.purchase import CheckoutStarted, OrderCancelled, OrderCompleted, OrderRefunded
from schemas.referral import ReferralAdvanced, ReferralConverted, ReferralMade
from schemas.sms import SmsDelivered, SmsFailed, SmsReplied, SmsSent
from schemas.social import SocialMentioned, SocialMessageReceived, SocialMessageSent
from schemas.statement import StatementDeliveryChosen
from schemas.survey import SurveyAnswered
from schemas.ticket import (
    TicketAssigned,
    TicketCommented,
    TicketMerged,
    TicketOpened,
    TicketPriorityChanged,
    TicketStatusChanged,
)
from schemas.touchpoint import Touchpoint
from schemas.tracked import EventTracked
from schemas.visit import VisitCancelled, VisitCompleted, VisitScheduled

TOUCHPOINTS: tuple[type[Touchpoint], ...] = (
    CallStarted,
    CallAnswered,
    CallEnded,
    EmailReceived,
    EmailSent,
    EmailDelivered,
    EmailOpened,
    EmailBounced,
    EmailUnsubscribed,
    EmailClicked,
    ChatStarted,
    ChatMessagePosted,
    ChatHandedOff,
    ChatEnded,
    SmsSent,
    SmsDelivered,
    SmsFailed,
    SmsReplied,
    SocialMessageReceived,
    SocialMessageSent,
    SocialMentioned,
    PageViewed,
    FormSubmitted,
    VisitScheduled,
    VisitCompleted,
    VisitCancelled,
    OrderCompleted,
    OrderRefunded,
    OrderCancelled,
    CheckoutStarted,
    ReferralMade,
    ReferralAdvanced,
    ReferralConverted,
    TicketOpened,
    TicketAssigned,
    TicketPriorityChanged,
    TicketStatusChanged,
    TicketCommented,
    TicketMerged,
    SurveyAnswered,
    StatementDeliveryChosen,
    LoyaltyRulesPublished,
    LoyaltyProgrammeClosed,
    PointsRedeemed,
    PointsRedemptionCancelled,
    PointsAdjusted,
    ConsentGranted,
    ConsentWithdrawn,
    CustomerDescribed,
    CustomerLinked,
    CustomerMerged,
    CustomerUnmerged,
    EventTracked,
    TouchpointVoided,
    IdentityRulesPublished,
    PersonErased,
    PersonalDataViewed,
    NoteAdded,
    CostRecorded,
)

BY_TYPE: dict[str, type[Touchpoint]] = {cls.TYPE: cls for cls in TOUCHPOINTS}


class UnknownType(ValueError):
    """No touchpoint of the catalogue has this name; the message suggests what may be meant."""

    def __init__(self, type_name: str) -> None:
        from difflib import get_close_matches  # costs as much to import as all calls together

        self.type_name = type_name
        self.suggestions = tuple(get_close_matches(type_name, BY_TYPE, n=3, cutoff=0.6))
        hint = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        super().__init__(f"no touchpoint is called {type_name[:200]!r}{hint}")


def touchpoint_class(type_name: str) -> type[Touchpoint]:
    """The class of a type such as `order.completed.v1`. Raises UnknownType."""
    try:
        return BY_TYPE[type_name]
    except KeyError:
        raise UnknownType(type_name) from None
