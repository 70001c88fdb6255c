"""The figures the demo firm is drawn from: regions, pyramid, rates, defects.

Source  domain.md F.2 (region shares, pyramid, seed rates, defects per 10,000 entries). The rates
        are assumptions of the demo, not market data.
"""

from decimal import Decimal

from msgspec import Struct

CONSULTANTS = {"S": 60, "M": 1_000, "L": 5_000}

# share of heads in percent; several entities share a region's heads
REGIONS = {"US": 30, "GB": 15, "DE": 12, "IN": 20, "AU": 8, "JP": 7, "SG": 3, "CA": 3, "FR": 2}


class Entity(Struct, frozen=True):
    """code, country, currency, IANA time zone, tax number; tax_fx: see LegalEntity."""

    code: str
    name: str
    country: str
    currency: str
    timezone: str
    tax_number: str
    tax_fx: bool = False


ENTITIES = (
    Entity("LE-US", "Firm Consulting Inc.", "US", "USD", "America/New_York", "US-12-3456789"),
    Entity("LE-US2", "Firm Federal LLC", "US", "USD", "America/Chicago", "US-98-7654321"),
    Entity("LE-UK", "Firm Consulting Ltd", "GB", "GBP", "Europe/London", "GB123456789"),
    Entity("LE-DE", "Firm Beratung GmbH", "DE", "EUR", "Europe/Berlin", "DE123456789"),
    Entity("LE-IN", "Firm Delivery Pvt Ltd", "IN", "INR", "Asia/Kolkata", "29ABCDE1234F1Z5"),
    Entity("LE-AU", "Firm Consulting Pty Ltd", "AU", "AUD", "Australia/Sydney", "51824753556"),
    Entity("LE-JP", "Firm Consulting KK", "JP", "JPY", "Asia/Tokyo", "T1234567890123"),
    Entity("LE-SG", "Firm Consulting Pte Ltd", "SG", "SGD", "Asia/Singapore", "200312345K"),
    Entity("LE-CA", "Firm Consulting ULC", "CA", "CAD", "America/Toronto", "123456789RT0001"),
    Entity("LE-FR", "Firm Conseil SAS", "FR", "EUR", "Europe/Paris", "FR12345678901"),
)

# role code, name, share of heads in percent
PYRAMID = (
    ("ANALYST", "Analyst", 22),
    ("CONSULTANT", "Consultant", 30),
    ("SENIOR", "Senior Consultant", 25),
    ("MANAGER", "Manager", 14),
    ("DIRECTOR", "Director", 6),
    ("PARTNER", "Partner", 3),
)
ROLE_CODES = tuple(code for code, _, _ in PYRAMID)

# per hour, analyst to partner
RATES: dict[str, tuple[int, ...]] = {
    "USD": (110, 150, 195, 245, 310, 420),
    "GBP": (80, 100, 120, 145, 170, 230),
    "EUR": (90, 115, 145, 180, 225, 300),
    "INR": (1_800, 2_400, 3_200, 4_500, 6_500, 9_000),
    "AUD": (130, 170, 215, 270, 330, 440),
    "JPY": (12_000, 16_000, 21_000, 27_000, 35_000, 48_000),
    "SGD": (120, 160, 205, 260, 325, 440),
    "CAD": (125, 165, 210, 265, 330, 440),
}
# delivery-centre people on a foreign contract: the USD figures of F.2, turned into other currencies
OFFSHORE_USD = (32, 42, 52, 68, 85, 120)
USD_PER = {
    "USD": Decimal(1),
    "GBP": Decimal("1.27"),
    "EUR": Decimal("1.08"),
    "INR": Decimal("0.012"),
    "AUD": Decimal("0.66"),
    "JPY": Decimal("0.0067"),
    "SGD": Decimal("0.74"),
    "CAD": Decimal("0.73"),
}
COST_SHARE = Decimal("0.64")

# contract type, share of projects in percent (assumed; by value in the source)
CONTRACT_MIX = {"TM": 33, "TM_CAPPED": 17, "FIXED_FEE": 33, "RETAINER": 12, "MIXED": 5}

# entries with this defect per 10,000 entries, first month
DEFECTS: dict[str, int] = {
    "PROJECT_UNKNOWN": 60,
    "TASK_UNKNOWN": 40,
    "PROJECT_CLOSED": 25,
    "PROJECT_NOT_STARTED": 10,
    "PROJECT_ON_HOLD": 20,
    "CONTRACT_MISSING": 45,
    "CONTRACT_EXPIRED": 40,
    "CONTRACT_NOT_ACTIVE": 30,
    "CONTRACT_LINE_MISSING": 10,
    "CONTRACT_LINE_AMBIGUOUS": 10,
    "RATE_NOT_FOUND": 60,
    "RATE_AMBIGUOUS": 5,
    "RATE_CURRENCY_MISMATCH": 8,
    "RATE_ZERO": 6,
    "ROLE_MISMATCH": 80,
    "ASSIGNMENT_MISSING": 60,
    "ASSIGNMENT_INACTIVE": 30,
    "CUSTOMER_REF_MISSING": 40,
    "BILL_TO_INVALID": 12,
    "BUYER_REF_MISSING": 12,
    "TAX_ID_MISSING": 15,
    "TAX_JURISDICTION_MISSING": 15,
    "LEGAL_ENTITY_UNMAPPED": 10,
    "ITEM_UNMAPPED": 10,
    "INTERCOMPANY_RULE_MISSING": 12,
    "RESOURCE_UNKNOWN": 25,
    "RESOURCE_INACTIVE": 8,
    "MINUTES_INVALID": 6,
    "ENTRY_TOO_OLD": 10,
    "DUPLICATE_ENTRY": 10,
    "DAY_OVER_24H": 6,
}
