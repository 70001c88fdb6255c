"""A NetSuite account to test against: SuiteTalk REST records, SuiteQL and async jobs.

Written from the vendor's public documents; what only experience or guess supports is marked [U]
where it stands. It assigns invoice numbers without gaps per subsidiary, computes totals and tax,
refuses closed periods and foreign parties, and keeps external ids unique across transactions.

Documents in the store (for a seeder; a record's own `externalId` must also be its Row.unique).
References are {"id": "12", "refName": "Acme"}, numbers are decimal text or JSON numbers, days ISO:
- setting, id "account": concurrency_limit (15), unallocated_limit (the same), integration_limit
  (ours alone), approval_routing (false: invoices start approved), async_delay_s (0). All optional.
- certificate, id = kid: {client_id, public_key: JWK object or PEM text, denied: [record, ...]};
  governanceLimits is denied to all but administrators [U: the text].
- currency: {name, symbol: "GBP", exchangeRate}; currencyRate: {baseCurrency: ref,
  transactionCurrency: ref, exchangeRate, effectiveDate}
- subsidiary: {name, legalName, currency: ref, country: {id: "GB"}, tranPrefix: "UK-"}
- accountingPeriod: {periodName, startDate, endDate, closed, allLocked, arLocked, isQuarter, isYear}
- department: {name}; salesTaxItem: {itemId: "VAT:S-GB", rate: "20"}; serviceItem: {itemId,
  displayName, isInactive}
- entity: customers and jobs share ids and external ids, as in the account.
  customer: {recordType: "customer", entityId, companyName, subsidiary: ref, currency: ref,
  taxItem: ref, additionalSubsidiaries: [id], additionalCurrencies: [id], externalId, email}
  job: {recordType: "job", entityId, companyName, parent: ref, subsidiary: ref, currency: ref}
- transaction: {recordType: "invoice" | "creditMemo", entity, subsidiary, currency, postingPeriod,
  tranDate, dueDate, tranId, number, status: "Open" | "Paid In Full" | "Pending Approval",
  approvalStatus: "2", exchangeRate, subtotal, taxTotal, total, amountPaid, amountRemaining,
  externalId, item: [{line, item: ref, quantity, rate, amount, description, taxCode: ref, taxRate1,
  tax1Amt, grossAmt, job: ref, custcol_*}], custbody_*}. Better posted through the API.
- accessToken, asyncJob, deletedRecord: its own.
"""

from system_apis.simulator import Simulator
from system_apis.vendors.netsuite.simulator.door import Door
from system_apis.vendors.netsuite.simulator.refusals import refusal

SIMULATOR = Simulator(vendor="netsuite", open=Door, refusal=refusal)
