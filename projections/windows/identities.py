"""Which subjects are one person, as records, and by which facts."""

from collections.abc import Mapping

from domain.identity import Joined
from ledger.ledger import Ledger
from projections.query import Cut, persons_at
from projections.windows import Record
from projections.windows.sight import Sight
from schemas.fields import rfc3339

BY = {
    "customer.merged.v1": "merge",
    "customer.linked.v1": "link",
    "customer.described.v1": "equal value",
}
"""What makes two subjects one person, by the type of the fact."""


def identity_records(ledger: Ledger, person: str, cut: Cut, sight: Sight) -> list[Record]:
    """Each subject of a person, with what it is joined to and by which facts."""
    persons = persons_at(ledger, [person], cut)
    names = sight.subjects(persons.subjects_of(person))
    joins = persons.joins_of(person)
    return [
        {
            "customer": names[person],
            "subject": names[one],
            "joined_by": [
                _join_record(join, one, names) for join in joins if one in (join.one, join.other)
            ],
        }
        for one in persons.subjects_of(person)
    ]


def _join_record(join: Joined, one: str, names: Mapping[str, str]) -> Record:
    other = join.other if join.one == one else join.one
    source, id_ = join.tie.identity
    return {
        "subject": names[other],
        "by": BY[join.tie.type],
        "time": rfc3339(join.tie.order[0]),
        "source": source,
        "id": id_,
    }
