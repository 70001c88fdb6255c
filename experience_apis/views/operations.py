"""What finance and operations look at: readiness, WIP, exceptions by desk, speed, straight-through.

Shows  OperationsBoard. WIP is every live billable entry that is not billed yet.
Fails  never by itself; an empty read model is an answer.
Fresh  as of the last event applied, usually under a second; the answer says so itself.
"""

from contracts.ports.experience.operations import OperationsBoard
from experience_apis.board import operations_board
from experience_apis.read_model import ReadModel
from experience_apis.view import View

BOARDS = ("entries", "desk", "invoices", "cycle_days", "straight")


async def show(read_model: ReadModel) -> OperationsBoard:
    totals, position, as_of = await read_model.totals(*BOARDS)
    return operations_board(totals, position, as_of)


VIEW = View(
    path="/operations", scope="experience:operations:read", show=show, shape=OperationsBoard
)
