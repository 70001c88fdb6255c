"""What a run keeps comes back as it was, by name and never by module; no pickle."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from msgspec import Struct

from contracts.ids import Ref
from contracts.problem import Fault, FieldError, Problem, Vendor
from process_apis.persisted import Cancelled, Json, persisted


@persisted("test.Kept")
class Kept(Struct, frozen=True):
    ref: Ref
    amount: Decimal
    day: date
    parts: tuple[int, ...] = ()


VALUES = [
    None, True, 3, 1.5, "text", b"\x00\xff", date(2026, 5, 1), Decimal("1.2300"),
    datetime(2026, 5, 1, 8, tzinfo=UTC), (1, [2, (3,)], {"a": (4,)}), {1: "one", "$struct": 2},
    Kept(Ref("a", "b"), Decimal("0.10"), date(2026, 1, 1), (1, 2)),
    {"args": (Kept(Ref("a", "b"), Decimal(1), date(2026, 1, 1)),), "kwargs": {}},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_equal(value):
    """Types too: tuples stay tuples, decimals keep their digits."""
    again = Json().deserialize(Json().serialize(value))
    assert (again, type(again)) == (value, type(value))


def test_problems_survive_with_all_they_say():
    """A recorded refusal is the same refusal when the run is replayed."""
    problem = Problem(
        Fault.VENDOR_REJECTED, "Refused.", because="x", retry_after_s=2.0,
        errors=(FieldError("/a", "b"),), vendor=Vendor(system="s", exception_code="PERIOD_CLOSED"),
    )  # fmt: skip
    again = Json().deserialize(Json().serialize(problem))
    assert (again.fault, again.say, again.because, again.errors, again.vendor) == (
        problem.fault, problem.say, problem.because, problem.errors, problem.vendor,
    )  # fmt: skip
    assert str(Json().deserialize(Json().serialize(Cancelled("by ann")))) == "by ann"


def test_other_errors_become_internal_and_unknown_shapes_are_refused():
    """Nothing is kept that could not be read again."""
    again = Json().deserialize(Json().serialize(KeyError("x")))
    assert (again.fault, again.because) == (Fault.INTERNAL, "KeyError: 'x'")
    with pytest.raises(TypeError, match="persisted name"):
        Json().serialize(Ref("a", "b"))
    with pytest.raises(TypeError):
        Json().serialize(object())


def test_a_name_belongs_to_one_shape():
    """Reusing a persisted name would read old runs as something else."""
    with pytest.raises(ValueError, match=r"test\.Kept"):

        @persisted("test.Kept")
        class Other(Struct):
            pass
