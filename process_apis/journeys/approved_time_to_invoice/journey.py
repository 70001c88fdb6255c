"""Start a billing run as a journey, so that all durable work has one face.

Needs    Erp (posting_traits, post_invoice, invoice_by_reference), once its invoices are released
Promise  The same request is the same run; each ready ledger row stands on one draft at most; each
         released invoice is in the ERP once (process_apis/billing/posting.py).
Stops    With drafts for finance to look at. Approval, release and cancelling are decisions of
         people, through the billing port.
Patches  none. Add, drop or reorder steps only behind DBOS.patch, listed here with its date.
"""

from contracts.ports.system.erp import Erp
from process_apis.billing.preview import Ask, billing_run_of, workflow_id
from process_apis.journey import Journey

JOURNEY = Journey(run=billing_run_of, ask=Ask, needs=(Erp,), run_id=workflow_id)
