"""The catalogue of exception codes is closed, complete and documented."""

from pathlib import Path

from contracts import catalogue
from contracts.catalogue import CATALOGUE, STAGES, markdown

ROOT = Path(__file__).parents[2]


def test_documentation_is_the_catalogue() -> None:
    """docs/exceptions.md says exactly what the code says."""
    assert (ROOT / "docs" / "exceptions.md").read_text() == markdown()


def test_codes_are_unique_and_every_stage_is_named() -> None:
    """No code is defined twice, and each belongs to a known stage."""
    assert len(catalogue._ALL) == len(CATALOGUE)
    assert {each.stage for each in CATALOGUE.values()} == set(STAGES)


def test_an_item_people_must_act_on_has_hours_and_a_hint() -> None:
    """Everything that reaches the queue has a deadline and says what to do."""
    assert [e.code for e in CATALOGUE.values() if e.retry != "DROP" and e.sla_hours <= 0] == []
    assert [e.code for e in CATALOGUE.values() if not e.hint or not e.means] == []
