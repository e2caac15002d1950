"""Personal fields and subjects are found from the annotations of a class."""

from schemas.email import EmailReceived
from schemas.fields import PersonalText
from schemas.identity import CustomerDescribed, CustomerMerged
from schemas.personal_fields import PersonalField, personal_fields, subject_fields
from schemas.privacy import PersonalDataViewed
from schemas.purchase import OrderCompleted
from schemas.referral import ReferralMade
from schemas.registry import TOUCHPOINTS
from schemas.touchpoint import Part, Touchpoint, fact


def test_personal_fields_come_in_the_order_of_the_class() -> None:
    paths = [field.path for field in personal_fields(EmailReceived)]
    assert paths == [("extra",), ("subject_line",), ("body",)]


def test_traits_are_found_inside_their_part_with_what_they_are_searched_by() -> None:
    assert personal_fields(CustomerDescribed) == (
        PersonalField(("extra",), None),
        PersonalField(("traits", "name"), None),
        PersonalField(("traits", "email"), "email"),
        PersonalField(("traits", "phone"), "phone"),
        PersonalField(("traits", "birth_year"), None),
        PersonalField(("traits", "custom"), None),
    )


def test_a_required_field_can_be_personal() -> None:
    assert PersonalField(("reason",), None) in personal_fields(CustomerMerged)


def test_every_touchpoint_has_at_least_its_personal_extra() -> None:
    for cls in TOUCHPOINTS:
        assert ("extra",) in [field.path for field in personal_fields(cls)]


def test_subjects_are_found() -> None:
    assert subject_fields(ReferralMade) == (("referee",),)
    assert subject_fields(PersonalDataViewed) == (("of",),)
    assert subject_fields(OrderCompleted) == ()


@fact
class _Address(Part):
    street: PersonalText = None


@fact
class _Moved(Part):
    to: _Address | None = None
    before: tuple[_Address, ...] = ()


def test_an_optional_part_is_entered_and_a_tuple_is_not() -> None:
    assert [field.path for field in personal_fields(_Moved)] == [("to", "street")]


def test_what_was_found_is_kept() -> None:
    cls: type[Touchpoint] = ReferralMade
    assert personal_fields(cls) is personal_fields(cls)
