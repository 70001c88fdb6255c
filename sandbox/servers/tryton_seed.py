"""This file exists to make an empty Tryton a small firm's books: what finance would set up once.

Owns   the seeded records: one company in EUR, its chart of accounts, three fiscal years, taxes,
       a payment term, two products, and the user our connector is.
Fails  Refused.
"""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from sandbox.servers.tryton_rpc import Tryton

COMPANY_CODE, COMPANY_NAME = "LE-DE", "Firm Beratung GmbH"
COMPANY_TAX_NUMBER = "DE136695976"
USER = "firmwire"
CURRENCIES = (
    ("EUR", "Euro", "1"),
    ("USD", "US Dollar", "1.10"),
    ("GBP", "Pound Sterling", "0.85"),
)
COUNTRIES = (("DE", "Germany"), ("FR", "France"), ("GB", "United Kingdom"), ("US", "United States"))
# key as our maps have it, what the customer reads, percent
TAXES = (
    ("S", "VAT 19 %", "0.19"),
    ("REVERSE_CHARGE", "VAT 0 %, reverse charge", "0"),
    ("EXPORT", "VAT 0 %, outside scope", "0"),
)
GROUPS = (
    ("account", "group_account"),
    ("company", "group_employee_admin"),
    ("project", "group_project_admin"),
    ("timesheet", "group_timesheet_admin"),
)


class Books(Struct, frozen=True):
    """Ids that later steps of the seeding need."""

    company: int
    currency: int
    revenue: int
    expense: int
    tax_account: int


def seed(erp: Tryton, year: int, password: str) -> None:
    """erp: logged in as administrator. year: with those before and after it. password: of USER."""
    books = _company(erp)
    for each in (year - 1, year, year + 1):
        _fiscal_year(erp, books.company, each)
    taxes = [_tax(erp, books, key, words, Decimal(rate)) for key, words, rate in TAXES]
    erp.create(
        "account.invoice.payment_term",
        name="30 days net",
        lines=[
            [
                "create",
                [{"type": "remainder", "relativedeltas": [["create", [{"days": 30}]]]}],
            ]
        ],
    )
    _products(erp, books, taxes[0])
    _user(erp, books.company, password)


def _company(erp: Tryton) -> Books:
    currencies = {
        code: erp.create(
            "currency.currency", name=name, symbol=code, code=code, rounding=Decimal("0.01"),
            digits=2, rates=[["create", [{"date": date(2020, 1, 1), "rate": Decimal(rate)}]]],
        )
        for code, name, rate in CURRENCIES
    }  # fmt: skip
    countries = {
        code: erp.create("country.country", code=code, name=name) for code, name in COUNTRIES
    }
    address = {"street": "Beispielweg 1", "postal_code": "10115", "city": "Berlin"}
    party = erp.create(
        "party.party", name=COMPANY_NAME, code=COMPANY_CODE,
        addresses=[["create", [{**address, "country": countries["DE"]}]]],
        identifiers=[["create", [{"type": "eu_vat", "code": COMPANY_TAX_NUMBER}]]],
    )  # fmt: skip
    company = erp.create(
        "company.company", party=party, currency=currencies["EUR"], timezone="Europe/Berlin"
    )
    admin = erp.find("res.user", ["login", "=", "admin"])
    erp("model.res.user.write", [admin], {"companies": [["add", [company]]], "company": company})
    erp.refresh()
    _chart(erp, company)
    mine = ["company", "=", company]
    return Books(
        company=company,
        currency=currencies["EUR"],
        revenue=_account(erp, "revenue", mine),
        expense=_account(erp, "expense", mine),
        tax_account=erp.find("account.account", mine, ["code", "=", "6.3.6"]),
    )


def _account(erp: Tryton, kind: str, mine: list[object]) -> int:
    domain = ([f"type.{kind}", "=", True], ["closed", "!=", True], mine)
    return erp.find("account.account", *domain)


def _chart(erp: Tryton, company: int) -> None:
    """The wizard's own steps, as a person would click them."""
    wizard = "wizard.account.create_chart"
    session = erp(f"{wizard}.create")[0]
    template = erp.by_xml("account", "account_template_root_en")
    chosen = {"account": {"company": company, "account_template": template}}
    erp(f"{wizard}.execute", session, {}, "account")
    erp(f"{wizard}.execute", session, chosen, "create_account")
    mine = ["company", "=", company]
    properties = {
        "company": company,
        "account_receivable": _account(erp, "receivable", mine),
        "account_payable": _account(erp, "payable", mine),
        "category_account_revenue": _account(erp, "revenue", mine),
        "category_account_expense": _account(erp, "expense", mine),
    }
    erp(f"{wizard}.execute", session, {"properties": properties}, "create_properties")
    erp(f"{wizard}.delete", session)


def _fiscal_year(erp: Tryton, company: int, year: int) -> None:
    moves = erp.create(
        "ir.sequence.strict", name=f"Moves {year}", company=company,
        sequence_type=erp.by_xml("account", "sequence_type_account_move"),
    )  # fmt: skip
    documents = erp.create(
        "ir.sequence.strict", name=f"Invoices {year}", company=company, prefix=f"{year}-",
        padding=5, sequence_type=erp.by_xml("account_invoice", "sequence_type_account_invoice"),
    )  # fmt: skip
    kinds = ("out_invoice", "out_credit_note", "in_invoice", "in_credit_note")
    numbers = {f"{kind}_sequence": documents for kind in kinds}
    made = erp.create(
        "account.fiscalyear", name=str(year), company=company, move_sequence=moves,
        start_date=date(year, 1, 1), end_date=date(year, 12, 31),
        invoice_sequences=[["create", [{"company": company, **numbers}]]],
    )  # fmt: skip
    erp("model.account.fiscalyear.create_period", [made])


def _tax(erp: Tryton, books: Books, key: str, words: str, rate: Decimal) -> int:
    return erp.create(
        "account.tax", name=f"{COMPANY_CODE}:{key}", description=words, type="percentage",
        rate=rate, company=books.company, invoice_account=books.tax_account,
        credit_note_account=books.tax_account,
    )  # fmt: skip


def _products(erp: Tryton, books: Books, usual_tax: int) -> None:
    hour = erp.by_xml("product", "uom_hour")
    # Hours are billed with six decimals; two would round an entry of twenty minutes.
    erp("model.product.uom.write", [hour], {"digits": 6, "rounding": 0.000001})
    category = erp.create(
        "product.category", name="Services", accounting=True,
        # A line without its product's usual tax makes the ERP ask back before it posts.
        customer_taxes=[["add", [usual_tax]]],
        account_revenue=books.revenue, account_expense=books.expense,
    )  # fmt: skip
    for code, name, unit in (
        ("TIME", "Consulting", hour),
        ("EXPENSE", "Expenses", erp.by_xml("product", "uom_unit")),
    ):
        erp.create(
            "product.template", name=name, type="service", default_uom=unit,
            list_price=Decimal(0), account_category=category,
            products=[["create", [{"suffix_code": code}]]],
        )  # fmt: skip


def _user(erp: Tryton, company: int, password: str) -> None:
    groups = [erp.by_xml(*group) for group in GROUPS]
    erp.create(
        "res.user", name="Firmwire", login=USER, password=password,
        companies=[["add", [company]]], company=company, groups=[["add", groups]],
    )  # fmt: skip
