"""Talking with customers: calls, mails, chats, social networks, visits and forms."""

from cli.year.business import Year
from cli.year.clocks import DAY, HOUR, MINUTE, SECOND, when_office_opens, written_in_utc
from cli.year.journal import APP, CHAT, CRM, HELPDESK, MAILER, SHOP, TELEPHONY, Data
from cli.year.loyalty import answer_survey
from cli.year.people import COMPLAINER, Customer
from cli.year.seasons import BUSIEST, busyness
from cli.year.tickets import live_ticket
from cli.year.vocabulary import (
    AGENT_LINES,
    AGENTS,
    BOT_LINES,
    CALL_TOPICS,
    CUSTOMER_LINES,
    NETWORKS,
    NOTES,
    PAGES,
    PLACES,
    POSTS,
    QUEUES,
    SEARCHES,
    TICKET_TITLES,
)


def call(year: Year, customer: Customer, at: int) -> None:
    """A customer calls: he waits, is answered or gives up; some calls leave a ticket behind."""
    at = when_office_opens(at)
    call_id = f"C{year.number()}"
    outbound = year.chance(0.12)
    direction = "outbound" if outbound else "inbound"
    started: Data = {"call_id": call_id, "direction": direction, "queue": year.pick(QUEUES)}
    if customer.phone is not None:
        started["phone"] = customer.phone
    year.book(customer, at, TELEPHONY, "call.started.v1", started)
    crowded = busyness(at // DAY) / BUSIEST
    wait = int(5 + 240 * crowded * year.rng.random() ** 2)
    if not outbound and year.chance(0.04 + 0.12 * crowded):
        _hang_up(year, customer, at, {"call_id": call_id, "direction": direction}, wait)
    else:
        _speak(year, customer, at, {"call_id": call_id, "direction": direction}, wait)


def _hang_up(year: Year, customer: Customer, at: int, ended: Data, wait: int) -> None:
    outcome = "voicemail" if year.chance(0.2) else "abandoned"
    ended |= {"outcome": outcome, "duration_seconds": wait, "wait_seconds": wait}
    year.book(customer, at + wait * SECOND, TELEPHONY, "call.ended.v1", ended)


def _speak(year: Year, customer: Customer, at: int, ended: Data, wait: int) -> None:
    agent = year.pick(AGENTS)
    call_id = str(ended["call_id"])
    at += wait * SECOND
    answered: Data = {"call_id": call_id, "agent": agent}
    year.book(customer, at, TELEPHONY, "call.answered.v1", answered)
    duration = int(20 + min(3_600.0, year.rng.lognormvariate(5.0, 0.8)))
    resolved = year.chance(0.55 if customer.segment == COMPLAINER else 0.8)
    ended |= {"outcome": "answered", "duration_seconds": duration, "wait_seconds": wait}
    ended |= {"agent": agent, "topic": year.pick(CALL_TOPICS), "resolved": resolved}
    at += duration * SECOND
    year.book(customer, at, TELEPHONY, "call.ended.v1", ended)
    if year.chance(0.12):
        write_note(year, customer, at + MINUTE, agent)
    if not resolved and year.chance(0.5):
        live_ticket(year, customer, at + MINUTE, "phone")
    if year.chance(0.1):
        answer_survey(year, customer, at + HOUR, "ces", call_id)


def write_note(year: Year, customer: Customer, at: int, agent: str) -> None:
    data: Data = {
        "note_id": f"N{year.number()}",
        "text": year.pick(NOTES),
        "agent": agent,
        "internal": year.chance(0.9),
    }
    year.book(customer, at, CRM, "note.added.v1", data)


def write_mail(year: Year, customer: Customer, at: int) -> None:
    """A customer writes, sometimes from an address that nobody has connected with him yet."""
    thread_id = f"H{year.number()}"
    received = _mail(year, thread_id, CUSTOMER_LINES)
    if year.chance(0.25) and not customer.address_linked:
        _write_as_stranger(year, customer, at, received)
    else:
        year.book(customer, at, HELPDESK, "email.received.v1", received, correlation=thread_id)
    at = when_office_opens(at + year.minutes(20, 600))
    answer = _mail(year, thread_id, AGENT_LINES)
    answer |= {"purpose": "service", "agent": year.pick(AGENTS)}
    year.book(customer, at, HELPDESK, "email.sent.v1", answer, correlation=thread_id)
    delivered: Data = {"message_id": answer["message_id"]}
    year.book(customer, at + 2 * SECOND, MAILER, "email.delivered.v1", delivered)
    if year.chance(0.3):
        again = _mail(year, thread_id, CUSTOMER_LINES)
        later = at + year.minutes(10, 1_500)
        year.book(customer, later, HELPDESK, "email.received.v1", again, correlation=thread_id)


def _mail(year: Year, thread_id: str, texts: tuple[str, ...]) -> Data:
    return {
        "message_id": f"M{year.number()}",
        "thread_id": thread_id,
        "subject_line": year.pick(TICKET_TITLES),
        "body": year.pick(texts),
    }


def _write_as_stranger(year: Year, customer: Customer, at: int, received: Data) -> None:
    address = f"email:{customer.email}"
    year.journal.write(at, HELPDESK, "email.received.v1", address, received)
    if year.chance(0.7):
        customer.address_linked = True
        linked: Data = {"other": address}
        year.book(customer, at + year.minutes(5, 4_000), CRM, "customer.linked.v1", linked)


def chat(year: Year, customer: Customer, at: int) -> None:
    """A chat with the bot, which hands over to a person when it does not get on."""
    conversation_id = f"V{year.number()}"
    start = at
    started: Data = {
        "conversation_id": conversation_id,
        "page": "https://shop.example" + year.pick(PAGES),
    }
    year.tell(customer, at, CHAT, "chat.started.v1", started)
    at = _say(year, customer, at + SECOND, conversation_id, "bot", None)
    at = _say(year, customer, at, conversation_id, "customer", None)
    at = _say(year, customer, at, conversation_id, "bot", None)
    if year.chance(0.55):
        at = _chat_with_agent(year, customer, at, conversation_id)
    ended: Data = {"conversation_id": conversation_id, "duration_seconds": (at - start) // SECOND}
    year.tell(customer, at, CHAT, "chat.ended.v1", ended)
    if year.chance(0.12):
        answer_survey(year, customer, at + 2 * MINUTE, "csat", conversation_id)


def _chat_with_agent(year: Year, customer: Customer, at: int, conversation_id: str) -> int:
    agent = year.pick(AGENTS)
    handed_off: Data = {"conversation_id": conversation_id, "to_agent": agent}
    year.tell(customer, at, CHAT, "chat.handed_off.v1", handed_off)
    at += year.between(5 * SECOND, 4 * MINUTE)
    for _ in range(year.between(1, 4)):
        at = _say(year, customer, at, conversation_id, "agent", agent)
        at = _say(year, customer, at, conversation_id, "customer", None)
    return at


def _say(
    year: Year, customer: Customer, at: int, conversation_id: str, author: str, agent: str | None
) -> int:
    """One message of a chat; returns when the next one may come."""
    texts = {"bot": BOT_LINES, "agent": AGENT_LINES, "customer": CUSTOMER_LINES}[author]
    data: Data = {
        "conversation_id": conversation_id,
        "message_id": f"M{year.number()}",
        "author": author,
        "text": year.pick(texts),
    }
    if agent is not None:
        data["agent"] = agent
    year.tell(customer, at, CHAT, "chat.message_posted.v1", data)
    return at + year.between(3 * SECOND, 90 * SECOND)


def post(year: Year, customer: Customer, at: int) -> None:
    """A message or a mention on a social network, sometimes answered."""
    data: Data = {
        "network": year.pick(NETWORKS),
        "post_id": f"P{year.number()}",
        "text": year.pick(POSTS),
    }
    if year.chance(0.4):
        year.book(customer, at, HELPDESK, "social.mentioned.v1", data)
        return
    year.book(customer, at, HELPDESK, "social.message_received.v1", data)
    if year.chance(0.75):
        answer: Data = {
            "network": data["network"],
            "post_id": f"P{year.number()}",
            "text": year.pick(AGENT_LINES),
            "agent": year.pick(AGENTS),
        }
        answered = when_office_opens(at + year.minutes(5, 400))
        year.book(customer, answered, HELPDESK, "social.message_sent.v1", answer)


def visit(year: Year, customer: Customer, at: int) -> None:
    """An appointment in a showroom, made some days ahead."""
    visit_id, place, agent = f"B{year.number()}", year.pick(PLACES), year.pick(AGENTS)
    due = when_office_opens(at + year.between(2 * DAY, 14 * DAY)) // HOUR * HOUR
    scheduled: Data = {
        "visit_id": visit_id,
        "at": written_in_utc(due),
        "place": place,
        "agent": agent,
    }
    year.book(customer, at, CRM, "visit.scheduled.v1", scheduled)
    if year.chance(0.15):
        cancelled: Data = {"visit_id": visit_id}
        year.book(customer, year.between(at, due), CRM, "visit.cancelled.v1", cancelled)
        return
    completed: Data = {"visit_id": visit_id, "place": place, "agent": agent}
    year.book(customer, due + year.minutes(20, 70), CRM, "visit.completed.v1", completed)
    if year.chance(0.4):
        write_note(year, customer, due + 2 * HOUR, agent)


def use_app(year: Year, customer: Customer, at: int) -> None:
    """Something that the app reports under a name of its own."""
    names = ("app_opened", "products_searched", "wishlist_changed", "store_found")
    name = year.pick(names)
    data: Data = {"name": name}
    if name == "products_searched":
        data["properties"] = {"query": year.pick(SEARCHES), "results": year.between(0, 30)}
    elif name == "wishlist_changed":
        data["properties"] = {"items": year.between(1, 12)}
    year.tell(customer, at, APP, "event.tracked.v1", data)


def fill_form(year: Year, customer: Customer, at: int) -> None:
    """A form on the web site; a question to the experts becomes a ticket."""
    question = year.chance(0.3)
    data: Data = {
        "form_id": "ask-an-expert" if question else "back-in-stock",
        "fields": {"email": customer.email, "message": year.pick(CUSTOMER_LINES)},
    }
    year.tell(customer, at, SHOP, "form.submitted.v1", data)
    if question:
        live_ticket(year, customer, at + SECOND, "form")
