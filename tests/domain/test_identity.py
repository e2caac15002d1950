"""Which subjects are one person, by links, merges, equal addresses and the rules for them."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import Grouping, IdentityRules, IdentityVersion, Tie, named

MERGED, LINKED, STATED = "customer.merged.v1", "customer.linked.v1", "customer.described.v1"
ANA, PAT = "email:~ana", "phone:~pat"
SUBJECTS = ("customer:1", "customer:2", "customer:3", "anonymous:a", "anonymous:b", ANA)


def tie(at: int, type_name: str, subject: str, other: str) -> Tie:
    return Tie((at, 0, "test", f"{at}"), type_name, subject, other)


def version(
    valid_from: int = 0,
    kinds: Sequence[str] = ("customer", "anonymous", "email"),
    blocked: Sequence[str] = (),
    at_most: Mapping[str, int] | None = None,
    number: int = 1,
) -> IdentityVersion:
    return IdentityVersion(
        version=number,
        valid_from=valid_from,
        published=(valid_from, 0, "rules", str(number)),
        link_kinds=frozenset(kinds),
        blocked=frozenset(blocked),
        at_most=at_most or {},
    )


def groups(*ties: Tie, rules: Sequence[IdentityVersion] = ()) -> list[tuple[str, ...]]:
    return sorted(Grouping(ties, IdentityRules(tuple(rules))).members.values())


ties = st.lists(
    st.tuples(
        st.sampled_from((MERGED, LINKED, STATED)),
        st.sampled_from(SUBJECTS),
        st.sampled_from(SUBJECTS),
        st.sampled_from((ANA, PAT)),
    ),
    max_size=12,
).map(
    lambda drawn: [
        tie(at, name, subject, token if name == STATED else other)
        for at, (name, subject, other, token) in enumerate(drawn)
    ]
)
rules = st.lists(
    st.builds(
        version,
        st.integers(0, 12),
        st.lists(st.sampled_from(("customer", "anonymous", "email", "phone")), unique=True),
        st.lists(st.sampled_from((PAT, "3", "b")), max_size=1),
        st.dictionaries(st.sampled_from(("customer", "anonymous")), st.integers(1, 2)),
        st.integers(1, 3),
    ),
    max_size=2,
)


@given(ties, rules, st.randoms())
def test_groups_depend_on_the_set_of_facts_alone(
    drawn: list[Tie], versions: list[IdentityVersion], chance: object
) -> None:
    expected = Grouping(drawn, IdentityRules(tuple(versions)))
    shuffled = list(drawn)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    again = Grouping(shuffled, IdentityRules(tuple(reversed(versions))))
    assert again.person == expected.person
    assert again.members == expected.members


@given(ties)
def test_without_rules_whoever_is_linked_or_merged_hangs_together(drawn: list[Tie]) -> None:
    joined = {frozenset((t.subject, t.other)) for t in drawn if t.type != STATED}
    together = {frozenset((s,)) for pair in joined for s in pair}
    for pair in joined:
        touched = {group for group in together if group & pair}
        together = together - touched | {frozenset().union(*touched)}
    expected = sorted(tuple(sorted(group)) for group in together if len(group) > 1)
    assert groups(*drawn) == expected


@given(ties, rules)
def test_nobody_has_more_of_a_kind_than_the_rules_allow_unless_somebody_merged_him(
    drawn: list[Tie], versions: list[IdentityVersion]
) -> None:
    if any(t.type == MERGED for t in drawn) or len(versions) != 1 or versions[0].valid_from > 0:
        return
    for group in groups(*drawn, rules=versions):
        for kind, most in versions[0].at_most.items():
            assert sum(subject.startswith(kind) for subject in group) <= most


def test_a_person_is_called_by_a_customer_number_if_there_is_one() -> None:
    assert named(["anonymous:a", ANA, "customer:2", "customer:1"]) == "customer:1"
    assert named(["anonymous:a", ANA, "member:9"]) == "member:9"
    assert named(["anonymous:a", ANA]) == ANA


def test_an_equal_address_joins_by_rule_and_not_without_one() -> None:
    stated = tie(1, STATED, "customer:1", ANA), tie(2, STATED, "customer:2", ANA)
    assert groups(*stated) == []
    assert groups(*stated, rules=[version(kinds=["customer"])]) == [("customer:1", "customer:2")]
    both = [version(kinds=["customer", "email"])]
    assert groups(*stated, rules=both) == [("customer:1", "customer:2", ANA)]


def test_a_rule_joins_what_is_stated_from_then_on_with_what_was_stated_before() -> None:
    stated = tie(1, STATED, "customer:1", ANA), tie(5, STATED, "customer:2", ANA)
    assert groups(*stated, rules=[version(3, ["customer"])]) == [("customer:1", "customer:2")]
    assert groups(*stated, rules=[version(6, ["customer"])]) == []


def test_kinds_that_may_not_link_by_equal_value_do_not() -> None:
    stated = tie(1, STATED, "customer:1", ANA), tie(2, STATED, "anonymous:a", ANA)
    assert groups(*stated, rules=[version(kinds=["customer"])]) == []


@pytest.mark.parametrize("blocked", [ANA, "1"], ids=["the address", "a customer's number"])
def test_a_blocked_value_joins_nobody_but_a_merge_does(blocked: str) -> None:
    held = [version(blocked=[blocked])]
    stated = tie(1, STATED, "customer:1", ANA), tie(2, STATED, "customer:2", ANA)
    assert not any({"customer:1", "customer:2"} <= set(g) for g in groups(*stated, rules=held))
    assert groups(tie(1, MERGED, "customer:1", "customer:2"), rules=held)


def test_a_broken_client_that_links_everybody_to_one_value_joins_nobody() -> None:
    linked = [tie(n, LINKED, f"customer:{n}", "anonymous:0000") for n in range(1, 5)]
    assert groups(*linked, rules=[version(blocked=["0000"])]) == []
    assert len(groups(*linked)) == 1


def test_the_first_that_fit_are_joined_and_the_others_are_told() -> None:
    linked = [tie(n, LINKED, f"customer:{n}", "anonymous:a") for n in (1, 2, 3)]
    held = IdentityRules((version(at_most={"customer": 2}),))
    grouping = Grouping(linked, held)
    assert list(grouping.members.values()) == [("anonymous:a", "customer:1", "customer:2")]
    (declined,) = grouping.declined
    assert (declined.one, declined.other) == ("customer:3", "anonymous:a")
    assert "at most 2 of the kind customer" in declined.why


def test_a_merge_is_a_decision_and_held_to_no_limit() -> None:
    merged = [tie(n, MERGED, f"customer:{n}", f"customer:{n + 1}") for n in (1, 2)]
    held = [version(at_most={"customer": 1})]
    assert groups(*merged, rules=held) == [("customer:1", "customer:2", "customer:3")]


def test_the_highest_version_that_holds_decides() -> None:
    stated = tie(9, STATED, "customer:1", ANA), tie(9, STATED, "customer:2", ANA)
    first, second = version(0, ["customer"]), version(5, [], number=2)
    assert groups(*stated, rules=[second, first]) == []
    assert groups(*stated, rules=[second, version(0, ["customer"], number=3)]) != []


def test_groups_have_no_subject_in_common() -> None:
    linked = [tie(n, LINKED, s, o) for n, (s, o) in enumerate(combinations(SUBJECTS, 2))]
    assert len(groups(*linked)) == 1
