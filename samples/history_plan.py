"""The plan of the generated history: who works there, what customers call about, the trends planted in it."""

from dataclasses import dataclass

WEEK_COUNT = 26
CALL_COUNT = 5_000
SEED = 20_260_314


@dataclass(frozen=True)
class Planted:
    """What is in the history on purpose. Weeks count from 0; a `_rate` or `_share` is 0..1."""

    spike_reason: str = "delivery_damaged"
    spike_week: int = 17
    spike_factor: float = 5.0
    rising_reason: str = "cancel_plan"
    rising_factor: float = 5.0
    repeat_reason: str = "repair_missed_visit"
    repeat_weeks: tuple[int, int] = (9, 14)
    repeat_rate: float = 0.55
    usual_repeat_rate: float = 0.06
    new_agent: str = "Nina Brooks"
    new_agent_week: int = 10
    learning_weeks: int = 8
    learning_factor: float = 1.9
    campaign_week: int = 14
    sale_rate_before: float = 0.22
    sale_rate_after: float = 0.38
    # In this week other reasons come into force: one has another name, one is taken out of another.
    taxonomy_week: int = 5
    renamed_reason: str = "account_change"
    renamed_from: str = "address_change"
    renamed_label: str = "Change of address"
    split_reason: str = "refund_request"
    split_from: str = "billing_question"
    split_label: str = "Bills and refunds"


PLANTED = Planted()

# Monday to Sunday; and by hour of the day, in the site's zone: the centre is open from 8 to 20.
WEEKDAY_WEIGHTS = (1.35, 1.1, 1.0, 1.0, 1.05, 0.55, 0.15)
HOUR_WEIGHTS = {
    8: 0.7,
    9: 1.2,
    10: 1.5,
    11: 1.4,
    12: 0.9,
    13: 0.9,
    14: 1.1,
    15: 1.2,
    16: 1.2,
    17: 1.0,
    18: 0.6,
    19: 0.3,
}

TEAMS = {
    "Service North": ("Alex Moore", "Sam Reed", "Priya Shah", "Nina Brooks"),
    "Service South": ("Chris Walker", "Tom Becker", "Laura Ellis", "Daniel Ortiz"),
    "Sales": ("James Carter", "Maya Collins", "Ben Foster"),
}
SERVICE_TEAMS = ("Service North", "Service South")
SALES_TEAM = "Sales"


@dataclass(frozen=True)
class Subject:
    """One reason: how often, how long in seconds, in what mood (-5..+5), how often resolved, in which queue."""

    weight: float
    duration_s: float
    mood: float
    resolved_rate: float
    queue: str = "Service"
    sentences: tuple[tuple[str, str], ...] = ()


USUAL = Subject(weight=0.5, duration_s=240, mood=-0.3, resolved_rate=0.65)

SUBJECTS = {
    "delivery_status": Subject(
        1.6,
        170,
        -0.6,
        0.78,
        "Delivery",
        (
            (
                "Asks where the order is",
                "The customer asked where an order is. The agent found it on the truck for {day}.",
            ),
            (
                "Wants another delivery day",
                "The customer asked to move a delivery to {day}. The agent changed the date.",
            ),
        ),
    ),
    "delivery_damaged": Subject(
        0.6,
        290,
        -2.2,
        0.55,
        "Delivery",
        (
            ("The {product} arrived damaged", "The {product} was delivered with a dent. The agent ordered a new one."),
            ("Parts are missing from the box", "Parts of the {product} were missing. The agent sends them by {day}."),
        ),
    ),
    "repair_booking": Subject(
        1.4,
        260,
        -0.8,
        0.74,
        sentences=(
            (
                "The {product} has stopped working",
                "The {product} has a fault. The agent booked a technician for {day}.",
            ),
            ("Moves a repair visit", "The customer moved the repair of the {product} to {day}."),
        ),
    ),
    "repair_missed_visit": Subject(
        0.75,
        320,
        -3.0,
        0.4,
        sentences=(
            (
                "The technician did not come",
                "Nobody came to repair the {product}. The agent made a new date for {day}.",
            ),
            ("Waited in vain for a technician", "The customer took a day off for nothing. A new visit is on {day}."),
        ),
    ),
    "product_help": Subject(
        1.1,
        230,
        0.2,
        0.85,
        sentences=(
            ("How to set up the {product}", "The customer could not start the {product}. They set it up together."),
            ("The {product} shows a code", "The {product} showed a code. The agent explained how to clear it."),
        ),
    ),
    "billing_question": Subject(
        0.9,
        210,
        -1.2,
        0.72,
        sentences=(
            ("The bill is higher than expected", "A fee on the bill was unclear. The agent explained it."),
            ("Charged twice", "The customer was charged twice. The agent will have one payment returned by {day}."),
        ),
    ),
    "refund_request": Subject(
        0.75,
        240,
        -1.6,
        0.6,
        sentences=(
            ("Wants the money back", "The customer returned the {product} and asked for the refund. It is on its way."),
        ),
    ),
    "warranty_question": Subject(
        0.6,
        220,
        -0.3,
        0.75,
        sentences=(
            ("Is it under warranty", "The customer asked whether the {product} is covered. It is, until next year."),
        ),
    ),
    "account_change": Subject(
        0.6,
        140,
        0.5,
        0.93,
        sentences=(("A new address", "The customer has moved. The agent changed the address in the account."),),
    ),
    "new_order": Subject(
        0.8,
        330,
        1.2,
        0.8,
        "Sales",
        (("Wants to buy a {product}", "The customer asked about a {product}, its price and its delivery."),),
    ),
    "protection_plan": Subject(
        0.45,
        280,
        0.6,
        0.8,
        "Sales",
        (("Asks about a protection plan", "The agent explained the protection plan for the {product}."),),
    ),
    "cancel_plan": Subject(
        0.3,
        250,
        -1.0,
        0.68,
        sentences=(("Wants to cancel a plan", "The customer finds the plan for the {product} too expensive."),),
    ),
    "complaint_service": Subject(
        0.35,
        360,
        -3.2,
        0.35,
        sentences=(
            ("Complains about the service", "The customer was put through three times. A manager will call by {day}."),
        ),
    ),
}

OTHER_WEIGHT = 0.45
INSUFFICIENT_WEIGHT = 0.15
SKIPPED_RATE = 0.02

PRODUCTS = ("washing machine", "dryer", "dishwasher", "fridge", "freezer", "oven", "vacuum cleaner", "coffee machine")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")

_FIRST_NAMES = """
    Anna Ben Carla David Elena Frank Grace Henry Irene Jack Karen Leo Marta Noah Olivia Paul Quinn Rosa Simon Tara
    Umar Vera Walter Xenia Yusuf Zoe Adam Beth Carl Dora Eric Fay George Hana Ivan Julia Kurt Lena Mark Nora
"""
_LAST_NAMES = """
    Abbott Barnes Chen Dawson Evans Fischer Garcia Hughes Ibrahim Jensen Kim Lopez Murphy Nguyen Owens Patel Quist
    Ramos Silva Turner Usman Vargas Weber Xu Young Zhang Archer Bell Costa Duarte Ellison Ford Grant Holt Irwin Joyce
    Kaya Lund Meyer Nash
"""
FIRST_NAMES = tuple(_FIRST_NAMES.split())
LAST_NAMES = tuple(_LAST_NAMES.split())
# Numbers 555-0100 to 555-0199 of every area are kept for fiction.
AREAS = (
    *(253, 509, 208, 541, 971, 458, 406, 307, 303, 720, 970, 801, 385, 435, 702, 775, 480, 602, 623, 520, 928, 505),
    *(575, 605, 701, 402, 308, 531, 316, 785, 913, 620, 405, 918, 580, 612, 651, 763, 952, 507, 218, 320, 715, 608),
)
SITE_NUMBER = "+18005550100"
