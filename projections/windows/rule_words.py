"""Loyalty rules in words: what earns points, when they count, and how long they last."""

from schemas.loyalty import ORDER, EarnRule, LoyaltyRulesPublished
from schemas.wording import counted

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def earning(rule: EarnRule) -> str:
    """`1 point for each full 100.00 ZAR of an order, on Monday (Africa/Johannesburg)`."""
    return _basis(rule) + _limits(rule)


def _basis(rule: EarnRule) -> str:
    points = counted(rule.points, "point")
    if rule.per is not None:
        return f"{points} for each full {rule.per} of an order"
    return f"{points} for each {'order' if rule.on == ORDER else rule.on}"


def _limits(rule: EarnRule) -> str:
    least = f" of {rule.minimum_total} or more" if rule.minimum_total else ""
    days = ""
    if rule.weekdays:
        names = ", ".join(DAY_NAMES[day - 1] for day in sorted(rule.weekdays))
        days = f", on {names} ({rule.timezone or 'UTC'})"
    return least + days + (f", once per {rule.once_per}" if rule.once_per else "")


def terms(rules: LoyaltyRulesPublished) -> list[str]:
    """What holds for all points of a version, one sentence each."""
    said = []
    if rules.pending_days:
        days = counted(rules.pending_days, "day")
        said.append(f"points can be spent {days} after they are earned")
    if rules.expires_after_days is None:
        said.append("points never expire")
    else:
        days = counted(rules.expires_after_days, "day")
        said.append(f"points expire {days} after they are earned")
    if rules.minimum_redemption:
        said.append(f"a redemption takes at least {counted(rules.minimum_redemption, 'point')}")
    if rules.point_value is not None:
        said.append(f"a point is worth {rules.point_value}")
    return said
