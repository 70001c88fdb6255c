"""A Float team to test against: API v3, people, projects, tasks (allocations), logged time.

Written from vendor documentation and an independent client; what is only guessed is marked [U].
Lists are bare arrays with X-Pagination headers; User-Agent with a contact is mandatory; there is no
external id and no idempotency key: a retried POST makes a second record. Only logged time knows
modified_since, and nothing tells what was deleted. A field a list does not know is ignored [U].

Documents in the store (for a seeder). ids are whole numbers as text; days are ISO. What is left out
comes out as null (`shapes` has every field) or as the default shown here.
- setting, id "account": {token, gets_per_min: 2000, writes_per_min: 1000}
- people: {people_id, name, email, job_title, role_id, active: 1, employee_type, people_type_id: 1,
  start_date, end_date, work_days_hours, tags}
- projects: {project_id, name, client_id, project_manager, active: 1, tentative: 0, notes, tags: []}
- clients: {client_id, name}; roles: {role_id, name}; phases: {phase_id, project_id, name}
- project-tasks: {project_task_id, project_id, task_names: one name as text}
- tasks: {task_id, people_id, project_id, name, start_date, end_date, hours: 7.5, notes, status: 1 |
  2 | 3, billable: 1}
- logged-time: {logged_time_id: 24 hexadecimal digits (the id too), people_id, project_id, date,
  hours, billable: 1}
- timeoffs: {timeoff_id, people_id, people_ids: [id], timeoff_type_id, start_date, end_date, hours}
"""

from system_apis.simulator import Simulator
from system_apis.vendors.float.simulator.door import Door
from system_apis.vendors.float.simulator.refusals import refusal

SIMULATOR = Simulator(vendor="float", open=Door, refusal=refusal)
