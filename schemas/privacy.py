"""Privacy: erasures, and who looked at personal data."""

from typing import Annotated

from pydantic import Field

from schemas.fields import Id, Text
from schemas.subject import Subject
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import counted, short, shown_subject, trailing

VIEWED_FIELDS_MAX = 1_000


@fact
class PersonErased(Touchpoint):
    """The subject's key was destroyed, and with it everything personal about the subject."""

    TYPE = "person.erased.v1"
    CHANNEL = None

    reason: Text
    certificate_id: Id

    def summary(self) -> str:
        return f"was erased (certificate {self.certificate_id})" + trailing(
            ": ", short(self.reason)
        )


@fact
class PersonalDataViewed(Touchpoint):
    """A reader who has the right to looked at personal data; the subject is the reader."""

    TYPE = "personal_data.viewed.v1"
    CHANNEL = None

    of: Subject
    fields: Annotated[tuple[Id, ...], Field(max_length=VIEWED_FIELDS_MAX)]
    purpose: Text

    def summary(self) -> str:
        what = f"{counted(len(self.fields), 'personal field')} of {shown_subject(self.of)}"
        return f"viewed {what}" + trailing(": ", short(self.purpose))
