"""What the process tier can be told, section `process`."""

from msgspec import Struct, field

from process_apis.durable import Durable
from process_apis.journeys.approved_time_to_invoice.rules import Policies


class ProcessSettings(Struct, frozen=True, kw_only=True):
    """tenant: in event sources and document references. database_url: empty for a file in home.

    sources: `<instance>/<port>` of the systems to read. erp_instance_of: by legal entity;
    default_erp for the others. allow_self_release: one person may approve and release.
    medians_s: how often usual prices are found anew. batch: entries a turn.
    lanes: False for a process that only answers.
    """

    tenant: str = "acme"
    database_url: str = ""
    log_form: str = "json"
    durable: Durable = field(default_factory=Durable)
    host: str = "127.0.0.1"
    port: int = 8102
    system_url: str = "http://127.0.0.1:8101"
    sources: tuple[str, ...] = (
        "salesforce/crm", "kantata/psa", "workday/hcm", "netsuite/erp", "float/scheduling",
    )  # fmt: skip
    erp_instance_of: dict[str, str] = {}
    default_erp: str = "netsuite"
    master_poll_s: float = 10.0
    time_poll_s: float = 2.0
    idle_s: float = 1.0
    timer_s: float = 300.0
    medians_s: float = 300.0
    batch: int = 2_000
    lanes: bool = True
    allow_self_release: bool = False
    policies: Policies = field(default_factory=Policies)
