"""The words and things of the made-up business: countries, names, products, sentences."""

from typing import NamedTuple

from cli.year.clocks import Clock

Money = dict[str, str]


class Product(NamedTuple):
    """Something the shop sells; the price is in cents of a euro."""

    product_id: str
    category: str
    cents: int


PRODUCTS = (
    Product("kettle-steel", "kitchen", 3990),
    Product("kettle-glass", "kitchen", 5490),
    Product("pan-24", "kitchen", 2950),
    Product("pan-28", "kitchen", 3650),
    Product("knife-chef", "kitchen", 6900),
    Product("board-oak", "kitchen", 2490),
    Product("moka-3", "coffee", 2790),
    Product("moka-6", "coffee", 3490),
    Product("grinder-hand", "coffee", 7900),
    Product("grinder-burr", "coffee", 18900),
    Product("beans-dark", "coffee", 1190),
    Product("beans-light", "coffee", 1290),
    Product("filter-100", "coffee", 450),
    Product("lamp-desk", "home", 4900),
    Product("lamp-floor", "home", 11900),
    Product("blanket-wool", "home", 8900),
    Product("towel-set", "home", 3290),
    Product("candle-fig", "home", 1650),
    Product("mirror-round", "home", 9900),
    Product("planter-clay", "garden", 1890),
    Product("hose-20", "garden", 3990),
    Product("seeds-herbs", "garden", 690),
    Product("secateurs", "garden", 2590),
    Product("bench-teak", "garden", 32900),
    Product("lantern-solar", "garden", 2190),
    Product("notebook-a5", "desk", 990),
    Product("pen-brass", "desk", 2400),
    Product("tray-cork", "desk", 1790),
)


def amount(cents: int) -> str:
    """Cents as a decimal string."""
    return f"{cents // 100}.{cents % 100:02d}"


class Country:
    """Where customers live: its clock, its currency and what things cost there."""

    __slots__ = (
        "clock",
        "code",
        "currency",
        "factor",
        "language",
        "prices",
        "shown_prices",
        "step",
    )

    def __init__(self, code: str, zone: str, language: str, money: tuple[str, float, int]) -> None:
        self.code = code
        self.clock = Clock(zone)
        self.language = language
        self.currency, self.factor, self.step = money
        self.prices = tuple(int(product.cents * self.factor) for product in PRODUCTS)
        self.shown_prices = tuple(self.money(cents) for cents in self.prices)

    def money(self, cents: int) -> Money:
        return {"amount": amount(cents), "currency": self.currency}


EURO = ("EUR", 1.0, 10)
POUND = ("GBP", 0.85, 10)
DOLLAR = ("USD", 1.1, 10)
RAND = ("ZAR", 20.0, 200)
"""A currency, what a euro's worth of goods costs in it, and what one point is earned per."""

CURRENCIES = (EURO, POUND, DOLLAR, RAND)

ITALY = Country("IT", "Europe/Rome", "it", EURO)
GERMANY = Country("DE", "Europe/Berlin", "de", EURO)
FRANCE = Country("FR", "Europe/Paris", "fr", EURO)
SPAIN = Country("ES", "Europe/Madrid", "es", EURO)
BRITAIN = Country("GB", "Europe/London", "en", POUND)
AMERICA = Country("US", "America/New_York", "en", DOLLAR)
SOUTH_AFRICA = Country("ZA", "Africa/Johannesburg", "en", RAND)

COUNTRIES = (
    *(ITALY,) * 5,
    *(GERMANY,) * 4,
    *(FRANCE,) * 3,
    *(SPAIN,) * 2,
    *(BRITAIN,) * 3,
    *(AMERICA,) * 2,
    SOUTH_AFRICA,
)
"""Each country as often as customers come from it."""

FIRST_NAMES = (
    "Ada", "Alba", "Anna", "Bea", "Bruno", "Carla", "Clara", "Dario", "Diego", "Elena", "Elias",
    "Emma", "Enzo", "Erik", "Fabio", "Farah", "Felix", "Gaia", "Greta", "Hanna", "Hugo", "Ida",
    "Iris", "Ivan", "Jana", "Jonas", "Julia", "Karim", "Lara", "Lena", "Leo", "Lucia", "Marco",
    "Marta", "Mia", "Milan", "Nadia", "Nico", "Nina", "Noah", "Olga", "Oscar", "Paula", "Pia",
    "Rosa", "Samir", "Sara", "Thabo", "Tessa", "Tom", "Vera", "Viktor", "Yara", "Zanele",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Amato", "Baker", "Bauer", "Bianco", "Blanc", "Castro", "Colombo", "Costa", "Diaz",
    "Dlamini", "Dubois", "Ferrari", "Fischer", "Fontana", "Garcia", "Gatti", "Greco", "Hall",
    "Hofmann", "Iglesias", "Jansen", "Keller", "Khumalo", "Klein", "Lambert", "Lang", "Lopez",
    "Marino", "Martin", "Mason", "Meyer", "Moreau", "Naidoo", "Neri", "Novak", "Ortega", "Parker",
    "Petit", "Ricci", "Romano", "Roux", "Russo", "Sanchez", "Schmitt", "Silva", "Turner", "Vidal",
    "Vogel", "Weber", "Wood", "Young", "Zanetti",
)  # fmt: skip
MAIL_DOMAINS = ("example.com", "example.org", "example.net")
COMPANIES = ("Cafe Aurora", "Studio Lindgruen", "Hotel Miramar", "Bakery Nine", "Atelier Nord")
PLACES = ("Milano", "Berlin", "Lyon", "Madrid", "London", "Boston", "Cape Town")

AGENTS = ("ana", "bilal", "chiara", "david", "eva", "farid", "giulia", "henrik", "ines", "jamal")
TEAMS = ("orders", "returns", "products", "accounts")
QUEUES = ("orders", "returns", "general")
CALL_TOPICS = ("delivery", "return", "invoice", "product advice", "points", "complaint")
TRAFFIC_SOURCES = ("search", "search", "direct", "newsletter", "social", "partner", "advert")
REFERRERS = ("https://search.example/", "https://social.example/feed", "https://partner.example/")
PAGES = ("/", "/new", "/offers", "/delivery", "/returns", "/points", "/journal/brewing-at-home")
SEARCHES = ("moka", "gift", "grinder", "lamp", "blanket", "herbs", "something for the garden")
NETWORKS = ("instagram", "facebook", "mastodon")
COUPONS = ("WELCOME5", "SPRING10", "FRIENDS10", "SORRY15")
SALE_COUPON = "SALE25"
REWARDS = ("voucher", "free delivery", "coffee beans", "gift wrapping", "tree planted")

TICKET_TITLES = (
    "Parcel has not arrived",
    "Wrong article in the box",
    "The handle came loose",
    "Cannot use my coupon",
    "Invoice with our VAT number",
    "Points are missing after my order",
    "How do I descale it?",
    "Please change the delivery address",
    "Charged twice",
    "The lid does not fit",
)
CUSTOMER_LINES = (
    "Hello, can you tell me where my order is?",
    "It still does not work, I tried what you said.",
    "Thank you, that helps.",
    "The box was open when it came.",
    "I would like to send one of them back.",
    "Which size fits an induction hob?",
    "Why have I got fewer points than last month?",
    "Could you send the invoice again?",
    "I have been waiting for a week now.",
    "Great, then I will keep it.",
)
AGENT_LINES = (
    "I have looked it up: it left our warehouse yesterday.",
    "I am sorry about that. A new one is on its way.",
    "Could you send us a photo of the damage?",
    "Your refund is booked and takes three working days.",
    "By the new rules one point is counted for every full twenty.",
    "You will find the label in your inbox.",
    "I have corrected the address.",
    "Please let us know whether that solved it.",
)
BOT_LINES = (
    "Thanks, we have got your message. A colleague will answer soon.",
    "I can help with orders, returns and points. What is it about?",
    "This page may answer your question: https://shop.example/returns",
)
NOTES = (
    "Prefers a call in the morning.",
    "Asked for the price of twelve; sent an offer.",
    "Was friendly although the parcel came late.",
    "Second broken lid this year, tell the supplier.",
    "Wants everything by post.",
)
POSTS = (
    "Love my new moka, thank you!",
    "Third day without an answer, is anybody there?",
    "Is the oak board back in stock?",
    "Look what came today.",
)
PRAISE = ("Quick and kind.", "All good.", "Would order again.")
BLAME = ("Took far too long.", "Nobody read what I wrote.", "Had to ask three times.")
