"""An ERP that creates and posts in two calls may be left with a draft of ours."""

from erp_witness import Kept, Witness
from msgspec.structs import replace
from office import until

from contracts.problem import Fault, Problem


class TwoStep(Witness):
    """Creates a draft, dies before posting it; the next post_invoice resumes it."""

    async def _post(self, body):
        self.posts[body.reference] += 1
        have = [k for k in self.documents if k.invoice.reference == body.reference]
        if not have:
            made = self._keep(body)
            self.documents[-1] = Kept(replace(made, status="DRAFT", number=""), 0.0)
            raise Problem(Fault.VENDOR_SILENT, "died between create and post")
        done = replace(have[0].invoice, status="POSTED", number="INV00001")
        self.documents[self.documents.index(have[0])] = Kept(done, 0.0)
        return done


async def test_a_half_done_document_is_not_taken_for_a_posted_one(opened):
    """A draft that a crash left behind is resumed, not booked as posted."""
    witness = TwoStep(settle_s=0.3)
    async with opened(witness) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        row = await office.only()
        assert (witness.posts[row.external_ref], row.erp_number) == (2, "INV00001")
