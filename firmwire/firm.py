"""This file exists to tell the process tier what the firm itself owns: its transfer prices.

Owns   nothing; speaks for the operator of this machine, by the key `firmwire` in the home folder.
Fails  as the process tier fails.
"""

from msgspec.structs import replace

from chassis import call
from chassis.identity import Signer
from contracts.ids import Ref
from contracts.ports.process.master_data import MasterData, RecordRequest
from firmwire.platform import Platform
from sandbox.firm.generate import generate
from sandbox.firm.load import truth_in


async def tell_process_tier(platform: Platform) -> int:
    """Transfer prices of the loaded demo firm; 0 when there is none. May be repeated."""
    truth = truth_in(platform.home)
    if truth is None:
        return 0
    firm = generate(truth.size, truth.seed, truth.month)
    records = tuple(replace(t, ref=Ref("firm", t.code)) for t in firm.transfer_prices)
    signer = Signer.of(platform.home, "firmwire")
    url = f"http://127.0.0.1:{platform.ports.process}"
    port = call.client(MasterData, url, signer=signer, prefix="/process/v1")
    try:
        return (await port.put_records(RecordRequest(records=records))).records
    finally:
        await call.close(port)
