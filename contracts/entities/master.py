"""Every kind of master record a change feed may carry, told apart by the field `entity`."""

from contracts.entities.deal import Deal
from contracts.entities.engagement import (
    Allocation,
    Assignment,
    Contract,
    Project,
    PurchaseOrder,
    RateCard,
    Task,
    TransferPrice,
)
from contracts.entities.finance import AccountingPeriod, ExchangeRate
from contracts.entities.party import (
    BillingAccount,
    Client,
    CostCentre,
    CostRate,
    Leave,
    LegalEntity,
    Resource,
    Role,
)
from contracts.entities.record import Alias

MasterRecord = (
    AccountingPeriod
    | Alias
    | Allocation
    | Assignment
    | BillingAccount
    | Client
    | Contract
    | CostCentre
    | CostRate
    | Deal
    | ExchangeRate
    | Leave
    | LegalEntity
    | Project
    | PurchaseOrder
    | RateCard
    | Resource
    | Role
    | Task
    | TransferPrice
)
