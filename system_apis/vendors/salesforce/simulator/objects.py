"""Names the objects of the org and their fields. Standard ones as described by the vendor.

The custom fields and objects (`__c`) and CurrencyIsoCode (a multi-currency org) are our tenant's.
One field: `Name:type(length)` and marks: r required, d defaulted, = read only, c create only,
i look-up by it allowed, x unique external id (case sensitive), >Object what it refers to.
Not there: relationships, record types, the recorded orgs' own custom fields.
"""

import re

from msgspec import Struct

_FIELD = re.compile(r"(\w+):(\w+)(?:\((\d+)\))?/?([rdcix=]*)(?:>(\w+))?")

_AUDIT = """
Id:id(18)d=i IsDeleted:boolean=d CreatedDate:datetime=d CreatedById:reference(18)=d>User
LastModifiedDate:datetime=d LastModifiedById:reference(18)=d>User SystemModstamp:datetime=d"""
_SEEN = " LastActivityDate:date= LastViewedDate:datetime= LastReferencedDate:datetime="
_OWNED = " OwnerId:reference(18)d>User"
_MONEY = " CurrencyIsoCode:picklist(3)d"
_FIRM = " Firm_Ext_Id__c:string(64)x"
_LINE_FIRM = " Name:string(80)d"


def _address(kind: str) -> str:
    return f""" {kind}Street:textarea(255) {kind}City:string(40) {kind}State:string(80)
    {kind}PostalCode:string(20) {kind}Country:string(80) {kind}Latitude:double
    {kind}Longitude:double {kind}GeocodeAccuracy:picklist(40) {kind}Address:address="""


_ACCOUNT = """
MasterRecordId:reference(18)=>Account Name:string(255)r Type:picklist(40)
ParentId:reference(18)>Account Phone:phone(40) Fax:phone(40) AccountNumber:string(40)
Website:url(255) PhotoUrl:url(255)= Sic:string(20) Industry:picklist(40) AnnualRevenue:currency
NumberOfEmployees:int Ownership:picklist(40) TickerSymbol:string(20) Description:textarea(32000)
Rating:picklist(40) Site:string(80) Jigsaw:string(20) JigsawCompanyId:string(20)=
CleanStatus:picklist(40) AccountSource:picklist(40) DunsNumber:string(9) Tradestyle:string(255)
NaicsCode:string(8) NaicsDesc:string(120) YearStarted:string(4) SicDesc:string(80)
Firm_Client_Code__c:string(64)x Firm_Credit_Hold__c:boolean
Firm_Default_Currency__c:string(3) Firm_Country__c:string(2)"""
_CONTACT = """
MasterRecordId:reference(18)=>Contact AccountId:reference(18)>Account LastName:string(80)r
FirstName:string(40) Salutation:picklist(40) Name:string(121)=d Phone:phone(40) Fax:phone(40)
MobilePhone:phone(40) HomePhone:phone(40) OtherPhone:phone(40) AssistantPhone:phone(40)
ReportsToId:reference(18)>Contact Email:email(80)i Title:string(128) Department:string(80)
AssistantName:string(40) LeadSource:picklist(255) Birthdate:date Description:textarea(32000)
LastCURequestDate:datetime= LastCUUpdateDate:datetime= EmailBouncedReason:string(255)
EmailBouncedDate:datetime IsEmailBounced:boolean=d PhotoUrl:url(255)= Jigsaw:string(20)
JigsawContactId:string(20)= CleanStatus:picklist(40)"""
_OPPORTUNITY = """
AccountId:reference(18)>Account IsPrivate:boolean Name:string(120)ri Description:textarea(32000)
StageName:picklist(255)r Amount:currency Probability:percent ExpectedRevenue:currency=
TotalOpportunityQuantity:double CloseDate:date/r Type:picklist(255) NextStep:string(255)
LeadSource:picklist(255) IsClosed:boolean=d IsWon:boolean=d ForecastCategory:picklist(40)=d
ForecastCategoryName:picklist(255) CampaignId:reference(18)>Campaign
HasOpportunityLineItem:boolean=d Pricebook2Id:reference(18)>Pricebook2
LastStageChangeDate:datetime= FiscalQuarter:int= FiscalYear:int= Fiscal:string(6)=
ContactId:reference(18)c>Contact HasOpenActivity:boolean=d HasOverdueTask:boolean=d
Firm_Contract_Type__c:string(40) Firm_Project_Code__c:string(64) Firm_Legal_Entity__c:string(64)
Firm_Start_Date__c:date Firm_End_Date__c:date Firm_Rate_Card__c:string(64)
Firm_Signed__c:boolean Firm_Contract_Ref__c:string(255) Firm_Project_Ref__c:string(255)
Firm_Erp_Job_Ref__c:string(255)"""
_CONTRACT = """
AccountId:reference(18)r>Account OwnerExpirationNotice:picklist(40) StartDate:date EndDate:date
ContractTerm:int Status:picklist(255)d CompanySignedId:reference(18)>User CompanySignedDate:date
CustomerSignedId:reference(18)>Contact CustomerSignedTitle:string(40) CustomerSignedDate:date
SpecialTerms:textarea(4000) ActivatedById:reference(18)=>User ActivatedDate:datetime=
StatusCode:picklist(40)=d Description:textarea(32000) ContractNumber:string(30)=d
LastApprovedDate:datetime= Pricebook2Id:reference(18)>Pricebook2
Firm_Type__c:string(40) Firm_Legal_Entity__c:string(64) Firm_Billing_Account__c:string(64)
Firm_Rate_Card__c:string(64) Firm_Billing_Cycle__c:string(40) Firm_Consolidation__c:string(40)
Firm_Late_Time_Days__c:int Firm_Increment_Min__c:int Firm_Increment_Mode__c:string(40)
Firm_Travel_Billing__c:string(40) Firm_PO_Required__c:boolean
Firm_Tax_Service_Code__c:string(64)"""
_LINE_ITEM = """
OpportunityId:reference(18)rc>Opportunity SortOrder:int=
PricebookEntryId:reference(18)c>PricebookEntry
Product2Id:reference(18)c>Product2 ProductCode:string(255)= Name:string(376)= Quantity:double/r
TotalPrice:currency UnitPrice:currency ListPrice:currency= ServiceDate:date
Description:string(255)"""
_PRODUCT = """
Name:string(255)r ProductCode:string(255) Description:textarea(4000) IsActive:boolean
Family:picklist(40) ExternalDataSourceId:reference(18)>ExternalDataSource ExternalId:string(255)
DisplayUrl:url(1000) QuantityUnitOfMeasure:picklist(40) StockKeepingUnit:string(180)
IsArchived:boolean=d LastViewedDate:datetime= LastReferencedDate:datetime="""
_PRICE = """
Name:string(255)= Pricebook2Id:reference(18)rc>Pricebook2 Product2Id:reference(18)rc>Product2
UnitPrice:currency/r IsActive:boolean UseStandardPrice:boolean ProductCode:string(255)="""
_CONTRACT_LINE = """
Contract__c:reference(18)r>Contract Line_No__c:int Kind__c:string(40) Project_Code__c:string(64)
Task_Codes__c:textarea(32000) Role_Codes__c:textarea(32000) Allowed_Classes__c:textarea(32000)
Rate_Card__c:string(64) Fixed_Amount__c:currency PO__c:string(64) Start_Date__c:date
End_Date__c:date Erp_Item__c:string(64) Tax_Category__c:string(64)"""
_ORDER = """
Billing_Account__c:string(64) Contract__c:reference(18)>Contract Amount__c:currency
Valid_From__c:date Valid_To__c:date Status__c:string(40)"""


class Field(Struct, frozen=True):
    """A field as `describe` tells it."""

    name: str
    type: str
    length: int = 0
    marks: str = ""
    refers_to: str = ""

    @property
    def createable(self) -> bool:
        """May a create name it."""
        return "=" not in self.marks

    @property
    def updateable(self) -> bool:
        """May an update name it."""
        return self.createable and "c" not in self.marks

    @property
    def required(self) -> bool:
        """Must a create name it."""
        return "r" in self.marks

    @property
    def exact(self) -> bool:
        """Compared letter for letter; other text is compared without case."""
        return self.unique or self.type in ("id", "reference")

    @property
    def unique(self) -> bool:
        """Our unique external ids."""
        return "x" in self.marks

    @property
    def lookup(self) -> bool:
        """May stand in an address or an upsert."""
        return self.unique or "i" in self.marks


class Object(Struct, frozen=True):
    """An object of the org; fields by lower-case name, as names are matched without case."""

    name: str
    prefix: str
    fields: dict[str, Field]

    def field(self, name: str) -> Field | None:
        """By its name in any case."""
        return self.fields.get(name.lower())


def _object(name: str, prefix: str, *texts: str) -> Object:
    found = _FIELD.findall(" ".join((*texts, _AUDIT)))
    fields = [
        Field(field, kind, int(size or 0), marks, to) for field, kind, size, marks, to in found
    ]
    fields.sort(key=lambda field: field.name != "Id")
    return Object(name, prefix, {field.name.lower(): field for field in fields})


_ALL = (
    _object(
        "Account", "001",
        _ACCOUNT, _address("Billing"), _address("Shipping"), _OWNED, _SEEN, _FIRM, _MONEY,
    ),
    _object("Contact", "003", _CONTACT, _address("Mailing"), _address("Other"), _OWNED, _SEEN),
    _object("Opportunity", "006", _OPPORTUNITY, _OWNED, _SEEN, _FIRM, _MONEY),
    _object(
        "Contract", "800",
        _CONTRACT, _address("Billing"), _address("Shipping"), _OWNED, _SEEN, _FIRM, _MONEY,
    ),
    _object("OpportunityLineItem", "00k", _LINE_ITEM),
    _object("Product2", "01t", _PRODUCT),
    _object("PricebookEntry", "01u", _PRICE),
    _object("Contract_Line__c", "a00", _CONTRACT_LINE, _LINE_FIRM, _OWNED, _SEEN, _FIRM),
    _object("Purchase_Order__c", "a01", _ORDER, _LINE_FIRM, _OWNED, _SEEN, _FIRM, _MONEY),
)  # fmt: skip
OBJECTS = {one.name.lower(): one for one in _ALL}
"""By lower-case name."""
