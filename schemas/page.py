"""The web site: pages that were viewed and forms that were sent."""

from schemas.fields import Id, PersonalMap, Text
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import short, trailing


@fact
class PageViewed(Touchpoint):
    """The customer looked at a page; `traffic_source` is what brought the visit about."""

    TYPE = "page.viewed.v1"
    CHANNEL = "web"

    url: Text
    title: Text | None = None
    session_id: Id | None = None
    referrer: Text | None = None
    traffic_source: Id | None = None

    def summary(self) -> str:
        return f"viewed {short(self.title or self.url)}" + trailing(", from ", self.traffic_source)


@fact
class FormSubmitted(Touchpoint):
    """The customer filled in a form."""

    TYPE = "form.submitted.v1"
    CHANNEL = "web"

    form_id: Id
    fields: PersonalMap = None

    def summary(self) -> str:
        return f"submitted form {self.form_id}"
