"""Both directions: ours absent there, theirs unknown here, other amounts, two of one."""

from datetime import date

from erp_witness import INSTANCE, Kept, Witness
from msgspec.structs import replace
from office import until
from sqlalchemy import select

from contracts.ids import Ref
from contracts.money import Money
from contracts.ports.process.reconciliation import ReconciliationRequest
from process_apis.reconciliation import Reconciler
from process_apis.tables import work_item

MAY = ReconciliationRequest(erp_instance=INSTANCE, start=date(2026, 6, 1), end=date(2026, 7, 1))


async def test_equal_stores_have_no_difference(opened):
    """Counts and sums agree."""
    async with opened(Witness(), contracts=3) as office:
        await office.released()
        await until(office.statuses, ["POSTED"] * 3)
        with office.acting("ann"):
            report = await Reconciler().reconcile(MAY)
        assert (report.ours, report.theirs, report.matched) == (3, 3, 3)
        assert report.our_totals == report.their_totals == (Money(3 * 29283, "GBP"),)
        assert report.differences == ()
        assert (await Reconciler().reports()).items == (report,)


async def test_every_kind_of_difference_is_found_and_on_a_desk(opened):
    """Lost, extra, duplicate and another amount."""
    async with opened(Witness(), contracts=4) as office:
        await office.released()
        await until(office.statuses, ["POSTED"] * 4)
        lost, twice, changed, _fine = list(office.witness.documents)
        office.witness.documents.remove(lost)
        office.witness.documents.append(Kept(replace(twice.invoice, ref=Ref(INSTANCE, "9"))))
        changed.invoice = replace(changed.invoice, net=Money(1, "GBP"))
        office.witness.documents.append(Kept(replace(lost.invoice, reference="acme-LE-UK-INV-X")))
        with office.acting("ann"):
            report = await Reconciler().reconcile(MAY)
        assert (report.lost, report.duplicates, report.extra, report.matched) == (1, 1, 1, 1)
        assert {each.code for each in report.differences} == {
            "RECON_MISSING_IN_ERP", "DUPLICATE", "RECON_EXTRA_IN_ERP", "ERP_TOTAL_MISMATCH"
        }  # fmt: skip
        codes = await office.database.read(
            lambda c: sorted(c.execute(select(work_item.c.code)).scalars())
        )
        assert codes == [
            "ERP_TOTAL_MISMATCH", "RECON_EXTRA_IN_ERP", "RECON_EXTRA_IN_ERP",
            "RECON_MISSING_IN_ERP",
        ]  # fmt: skip
