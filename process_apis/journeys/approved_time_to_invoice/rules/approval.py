"""Stage 1: is this version of the entry approved by somebody who may.

Fires NOT_APPROVED, SELF_APPROVED, APPROVER_NOT_AUTHORISED. An APPROVED entry without details of the
approval is taken as approved: the source vouches for it. A project without approvers leaves the
right to the source; a policy's automatic approval is not a person's.
"""

from typing import Any

from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import Finding
from process_apis.journeys.approved_time_to_invoice.rules.case import Case, finding


def judge(entry: TimeEntry, case: Case) -> list[Finding]:
    """For entries that are APPROVED or SUBMITTED."""
    root = f"time_entry:{entry.ref}"
    approval = entry.approval
    if entry.status != "APPROVED":
        return [finding("NOT_APPROVED", root, status=entry.status)]
    if approval is None:
        return []
    found = []
    if approval.subject_version < entry.source_version:
        seen: dict[str, Any] = {
            "approved_version": approval.subject_version,
            "version": entry.source_version,
        }
        found.append(finding("NOT_APPROVED", root, **seen))
    if approval.approver is None:
        return found
    approver = case.snapshot.person(approval.approver)
    if approver == case.snapshot.person(entry.resource):
        found.append(finding("SELF_APPROVED", root, approver=approver))
    elif case.approvers and approver not in case.approvers and case.project is not None:
        project = f"project:{case.project.code}"
        keys = (project, f"xref:resource:{approval.approver}")
        allowed = sorted(case.approvers)
        found.append(
            finding("APPROVER_NOT_AUTHORISED", project, *keys, approver=approver, approvers=allowed)
        )
    return found
