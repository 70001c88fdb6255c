"""Exactly once, whatever the ERP does (domain.md C.4, golden vector 22)."""

import pytest
from erp_witness import Kept, Witness
from office import request_of, until
from sqlalchemy import func, select, update

from chassis import clock
from contracts.entities.finance import ErpInvoice
from contracts.ids import Ref
from contracts.money import Money
from contracts.ports.process.billing import Decision
from contracts.problem import Fault, Problem
from process_apis.billing import attempts, posting, recovery
from process_apis.billing.findings import finding
from process_apis.billing.telling import Telling
from process_apis.tables import (
    cross_reference,
    event_log,
    ledger,
    posting_attempt,
    time_entry,
    work_item,
)


async def live_codes(office) -> list[str]:
    query = select(work_item.c.code).where(work_item.c.state == "OPEN").order_by(work_item.c.code)
    return await office.database.read(lambda c: list(c.execute(query).scalars()))


async def test_released_invoices_are_posted_once_and_booked(opened):
    """A posted invoice bills its rows to the cent, its entries, and tells it once."""
    async with opened(Witness(), contracts=3) as office:
        await office.released()
        await until(office.statuses, ["POSTED"] * 3)

        def books(c):
            return (
                c.execute(select(func.sum(ledger.c.billed_minor))).scalar(),
                set(c.execute(select(ledger.c.status)).scalars()),
                set(c.execute(select(time_entry.c.billing_state)).scalars()),
                c.execute(
                    select(func.count()).where(event_log.c.type == "firmwire.invoice.posted.v1")
                ).scalar(),
            )

        assert (3 * 29283, {"BILLED"}, {"BILLED"}, 3) == await office.database.read(books)
        assert office.witness.duplicates() == 0
        assert await live_codes(office) == []


async def test_silent_after_commit_is_found_and_never_sent_again(opened):
    """Golden 22, first half: committed, unanswered: one lookup, POSTED, no second call."""
    witness = Witness(settle_s=0.3)
    witness.faults.append("late_commit:0.2")
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        row = await office.only()
        assert (witness.posts[row.external_ref], witness.lookups[row.external_ref]) == (1, 1)
        assert row.erp_number == "INV00001"
        assert await live_codes(office) == []


async def test_silent_without_commit_is_looked_up_twice_then_sent_once_more(opened):
    """Golden 22, second half: lookups a settle time apart, then one send, the same reference."""
    witness = Witness(settle_s=0.3, unique=True)
    witness.faults.append("silent")
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        row = await office.only()
        assert (witness.posts[row.external_ref], witness.lookups[row.external_ref]) == (2, 2)

        def looks(c):
            query = select(posting_attempt.c.kind, posting_attempt.c.finished_at)
            return c.execute(query.order_by(posting_attempt.c.attempt_no)).all()

        kinds = await office.database.read(looks)
        assert [kind for kind, _ in kinds] == ["POST", "LOOKUP", "LOOKUP", "POST"]
        assert (kinds[1][1] - kinds[0][1]).total_seconds() >= 0.3
        assert (kinds[2][1] - kinds[1][1]).total_seconds() >= 0.3


async def test_amount_changed_by_a_person_meanwhile_is_a_conflict(opened):
    """Golden 22, third part: what the ERP holds differs, so finance decides; nothing is sent."""
    witness = Witness(settle_s=0.3)
    witness.faults.append("silent_after_commit")
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["IN_DOUBT"])
        kept = witness.documents[0]
        other = type(kept.invoice.net)(1, "GBP")
        kept.invoice = type(kept.invoice)(
            **{name: getattr(kept.invoice, name) for name in kept.invoice.__struct_fields__}
            | {"net": other}
        )
        await until(office.statuses, ["ERP_CONFLICT"])
        assert sum(witness.posts.values()) == 1
        assert await live_codes(office) == ["ERP_CONFLICT"]


@pytest.mark.parametrize("fault", ["silent_after_commit", "error_after_commit"])
@pytest.mark.parametrize("unique", [True, False])
async def test_answers_lost_after_the_commit_never_make_a_second_document(opened, fault, unique):
    """Whether or not the ERP refuses duplicates itself."""
    witness = Witness(settle_s=0.2, unique=unique, lanes=3)
    witness.faults.extend([fault] * 5)
    async with opened(witness, contracts=5) as office:
        await office.released()
        await until(office.statuses, ["POSTED"] * 5)
        assert (witness.duplicates(), len(witness.documents)) == (0, 5)


async def test_stale_lookup_does_not_lead_to_a_second_document(opened):
    """A document that shows late, within the settle time, is waited for."""
    witness = Witness(settle_s=0.5, unique=False)
    witness.faults.append("late_commit:0.7")
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        assert (witness.duplicates(), len(witness.documents)) == (0, 1)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("throttled", "ERP_THROTTLED"), ("maintenance", "ERP_MAINTENANCE"), ("auth", "ERP_AUTH")],
)
async def test_trouble_of_the_whole_erp_is_one_item_and_no_attempt(opened, fault, code):
    """Many invoices wait behind one system item; all are posted when the ERP is back."""
    witness = Witness(lanes=3)
    witness.state = "MAINTENANCE"
    witness.faults.extend([fault] * 3)
    async with opened(witness, contracts=6) as office:
        await office.released()
        await until(lambda: live_codes(office), [code])
        witness.state = "UP"
        await until(office.statuses, ["POSTED"] * 6)
        await until(lambda: live_codes(office), [])

        def counted(c):
            return (
                c.execute(select(func.count()).select_from(work_item)).scalar(),
                set(c.execute(select(posting_attempt.c.outcome)).scalars()),
            )

        items, outcomes = await office.database.read(counted)
        assert items == 1
        assert outcomes == {"SUCCESS", "NOT_SENT"}
        assert witness.duplicates() == 0


async def test_nothing_sent_is_sent_again_without_doubt(opened):
    """VENDOR_DOWN means that nothing left: no lookup, the same reference once more."""
    witness = Witness()
    witness.faults.append("down")
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        assert (sum(witness.posts.values()), sum(witness.lookups.values())) == (2, 0)


async def test_refused_content_is_an_item_by_the_vendors_words_and_goes_again(opened):
    """POST_REJECTED keeps its rows; once mended the same reference is posted."""
    witness = Witness()
    witness.faults.append("rejected:PERIOD_CLOSED")
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["POST_REJECTED"])
        assert await live_codes(office) == ["PERIOD_CLOSED"]
        row = await office.only()
        assert await recovery.post_again([row.id], "ann", "period opened") == 1
        await until(office.statuses, ["POSTED"])
        assert await live_codes(office) == []
        assert (await office.only()).external_ref == row.external_ref


async def test_missing_map_is_an_item_and_the_mended_map_sends_it(opened):
    """An ERP id we do not have is never a crash; its coming posts the invoice."""
    async with opened(Witness()) as office:
        gone = cross_reference.c.entity == "item"
        await office.database.write(
            lambda c: c.execute(update(cross_reference).where(gone).values(code="OTHER"))
        )
        await office.released()
        await until(office.statuses, ["POST_REJECTED"])
        assert await live_codes(office) == ["ITEM_UNMAPPED"]
        assert sum(office.witness.posts.values()) == 0
        await office.database.write(
            lambda c: c.execute(update(cross_reference).where(gone).values(code="TIME"))
        )
        assert await recovery.mended(["map:item:erp-test:TIME"]) == 1
        await until(office.statuses, ["POSTED"])


async def test_reference_taken_by_other_content_is_a_conflict(opened):
    """Create-only: what stands under our reference is compared, never overwritten."""
    async with opened(Witness(), allow_self_release=True) as office:
        with office.acting("ann"):
            run = await office.desk.start_run(request_of())
            await until(lambda: office.state_of(run.id), "PREVIEW")
            row = await office.only()
            theirs = ErpInvoice(
                ref=Ref("erp-test", "1"), reference=row.external_ref, number="INV00001",
                status="POSTED", customer="cust-1", currency="GBP", net=Money(1, "GBP"),
                tax=Money(0, "GBP"), total=Money(1, "GBP"), invoice_date=row.invoice_date,
            )  # fmt: skip
            office.witness.documents.append(Kept(theirs))
            await office.desk.approve_run(run.id, Decision())
            await office.desk.release_run(run.id, Decision())
        await until(office.statuses, ["ERP_CONFLICT"])
        assert office.witness.of(row.external_ref) == [theirs]
        assert await live_codes(office) == ["ERP_CONFLICT"]


async def test_never_more_calls_at_once_than_the_erp_has_lanes(opened):
    """The quota is used, and never passed."""
    witness = Witness(lanes=3, latency_s=0.05)
    async with opened(witness, contracts=20, rows_each=1) as office:
        await office.released()
        await until(office.statuses, ["POSTED"] * 20)
        assert witness.most_inside == 3


@pytest.mark.parametrize("late", ["doubt", "rejected", "not sent"])
async def test_what_an_overtaken_run_has_to_say_changes_nothing(opened, late):
    """A replica that was held up comes back after another has settled and posted its invoice."""
    problem = Problem(Fault.VENDOR_DOWN, "Nobody is there.")
    refused = [finding("ERP_REJECTED", "invoice:x", say="no")]
    async with opened(Witness()) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        row, now = await office.only(), clock.now()

        def overtaken(c):
            telling = Telling("/acme/process")
            posted = c.execute(select(posting_attempt)).one()
            number = posted.attempt_no
            said = {
                "doubt": lambda: attempts.doubt(c, row.id, number, "silence", now, telling),
                "rejected": lambda: attempts.reject(c, row.id, number, refused, now, telling),
                "not sent": lambda: attempts.not_sent(c, row.id, number, problem, now),
            }[late]()
            telling.done(c)
            return said, posted.outcome, c.execute(select(posting_attempt)).one().outcome

        assert await office.database.write(overtaken) == ("POSTED", "SUCCESS", "SUCCESS")
        assert await office.statuses() == ["POSTED"]
        assert await live_codes(office) == []


def test_lookups_come_at_settle_twice_settle_15_minutes_1_hour_then_hourly():
    """The schedule of C.4 for NetSuite-like 360 s."""
    offsets = [posting._offset_s(360.0, number) for number in range(6)]
    assert offsets == [360.0, 720.0, 900.0, 3600.0, 7200.0, 10800.0]
