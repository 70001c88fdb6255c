"""The rules of approved time to invoice: pure, and the only place that decides about money."""

from process_apis.journeys.approved_time_to_invoice.rules.evaluation import case_of, evaluate
from process_apis.journeys.approved_time_to_invoice.rules.intake import (
    accept,
    ownership_violation,
    schema_invalid,
    version_conflict,
)
from process_apis.journeys.approved_time_to_invoice.rules.keys import entity_of, keys_of_xref
from process_apis.journeys.approved_time_to_invoice.rules.plausibility import peer_of
from process_apis.journeys.approved_time_to_invoice.rules.snapshot import Applied, Snapshot
from process_apis.journeys.approved_time_to_invoice.rules.verdict import Outcome, Peer, Policies

__all__ = [
    "Applied",
    "Outcome",
    "Peer",
    "Policies",
    "Snapshot",
    "accept",
    "case_of",
    "entity_of",
    "evaluate",
    "keys_of_xref",
    "ownership_violation",
    "peer_of",
    "schema_invalid",
    "version_conflict",
]
