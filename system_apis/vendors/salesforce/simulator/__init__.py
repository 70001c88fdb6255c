"""A Salesforce org to test against: deals, accounts, contracts and our custom objects over REST.

Written from the vendor's public notes and recordings; what is only guessed is marked [U] where it
stands. Sessions end without a word (401 INVALID_SESSION_ID), errors are JSON arrays, the daily
limit is a 403, a locked row is a 400, queries page by locators. Own fault: `x_lock_row` (400
UNABLE_TO_LOCK_ROW on writes), `x_session_expired` (401).

Documents in the store (for a seeder). Kind = object name, id = 18-character id, made by
`record_id(object, number)`; ids the API makes are of another block, so the two never meet. The
document holds API field names to JSON values as in a reply; Id, CreatedDate, LastModifiedDate and
SystemModstamp are the row's own (Row.updated_at). What has no value may be left out. Dates are
"2026-01-31", datetimes any ISO text, money decimal text or a JSON number, references to others
18-character ids. Row.unique = Firm_Ext_Id__c, on every kind with one (all but Contact, Product2,
PricebookEntry and OpportunityLineItem); without it look-ups still work, a duplicate is not seen.
- setting, id "org": {org_id, instance_url, daily_limit: 100000, session_s: 7200}
- client, id = consumer key: {client_secret, user_id: "005..."}; for signed assertions also
  {public_key: RSA JWK or PEM, username}
- Account: {Name, Firm_Ext_Id__c, Firm_Client_Code__c, CurrencyIsoCode, ...}; Contact: {LastName,
  FirstName, AccountId, Email}
- Opportunity: {Name, StageName, CloseDate, AccountId, Amount, Firm_...}; IsClosed, IsWon,
  Probability and ForecastCategory follow StageName and need not be given
- Contract: {AccountId, Status, StartDate, EndDate, ContractTerm, ContractNumber, ActivatedDate,
  Firm_...}; StatusCode follows Status; a seeded contract may have any Status
- Contract_Line__c, Purchase_Order__c, Product2, PricebookEntry, OpportunityLineItem: see `objects`
- written by the API only: session, locator, and deleted.<Object> (the recycle bin of queryAll)
"""

from system_apis.simulator import Simulator
from system_apis.vendors.salesforce.simulator.door import Door
from system_apis.vendors.salesforce.simulator.refusals import refusal
from system_apis.vendors.salesforce.simulator.values import record_id

__all__ = ["SIMULATOR", "record_id"]

SIMULATOR = Simulator(vendor="salesforce", open=Door, refusal=refusal)
