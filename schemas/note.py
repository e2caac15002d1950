"""Notes that agents write about a customer."""

from schemas.fields import Id, RequiredPersonalText
from schemas.touchpoint import Touchpoint, fact
from schemas.wording import shown, trailing


@fact
class NoteAdded(Touchpoint):
    """An agent wrote something down; an internal note is not for the customer's eyes."""

    TYPE = "note.added.v1"
    CHANNEL = "note"

    note_id: Id
    text: RequiredPersonalText
    agent: Id
    internal: bool

    def summary(self) -> str:
        kind = "an internal note" if self.internal else "a note"
        return f"got {kind} from {self.agent}" + trailing(": ", shown(self.text))
