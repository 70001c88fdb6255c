"""A Workday tenant to test against: REST staffing v6, common v1, RaaS reports, OAuth 2.0.

Written from the vendor's published specifications and independent clients; what is only guessed is
marked [U] where it stands. REST lists people without a modified-since filter; reports come whole,
all values as text, absent ones left out. Own fault: `x_token_ended` (the bearer token dies, 401).

Documents in the store (for a seeder). ids are WIDs: 32 hexadecimal digits.
- setting, id "tenant": {name: "firm", rate_per_s: 50}
- client, id = client id: {client_secret, refresh_token, public_key: RSA JWK or PEM, if it signs};
  isu, id = user without tenant: {password}
- access_token: its own
- worker: {Employee_ID, Worker, Email, Company, Cost_Center, Job_Profile_ID, Job_Profile, Hire_Date,
  Termination_Date, FTE, Location, Country, Time_Zone, Business_Title,
  Worker_Type: "Employee" | "Contingent Worker", Manager_ID}; Row.unique = Employee_ID
- job_profile: {Job_Profile_ID, Job_Profile, Substitutable_By: "A;B"}; Row.unique = Job_Profile_ID
- cost_center: {Cost_Center_ID, Cost_Center, Company}; leave: {Employee_ID, Date, Units: hours as
  text, Full_Day: "1" | "0", Time_Off_Type}
- cost_rate: {Rate_ID, Employee_ID, Currency, Hourly_Rate, Effective_From, Effective_To}
Reports add Last_Updated from the row's own time of change.
"""

from system_apis.simulator import Simulator
from system_apis.vendors.workday.simulator.door import Door
from system_apis.vendors.workday.simulator.refusals import refusal

SIMULATOR = Simulator(vendor="workday", open=Door, refusal=refusal)
