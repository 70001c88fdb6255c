"""Describes the objects: what `describe` and the global list say of them and their fields.

The keys are the recorded describe's; labels, picklist values and layouts are left empty.
"""

from collections.abc import Iterable
from typing import Any

from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Field, Object
from system_apis.vendors.salesforce.simulator.values import STAGES, STATUS_CODES

_SOAP = {
    "id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int",
    "double": "xsd:double", "currency": "xsd:double", "percent": "xsd:double", "date": "xsd:date",
    "datetime": "xsd:dateTime", "address": "urn:address",
}  # fmt: skip
_VALUES: dict[tuple[str, str], Iterable[str]] = {
    ("Opportunity", "StageName"): STAGES,
    ("Contract", "Status"): STATUS_CODES,
}


def described(one: Object, version: str) -> dict[str, Any]:
    """GET /sobjects/{object}/describe."""
    fields = [_field(one, field) for field in one.fields.values()]
    return _about(one, version) | {"fields": fields, "childRelationships": []}


def globally(version: str) -> dict[str, Any]:
    """GET /sobjects."""
    about = [_about(one, version) for one in OBJECTS.values()]
    return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": about}


def _about(one: Object, version: str) -> dict[str, Any]:
    url = f"/services/data/{version}/sobjects/{one.name}"
    able = ("createable", "deletable", "queryable", "replicateable", "retrieveable", "searchable",
            "undeletable", "updateable", "layoutable", "triggerable")  # fmt: skip
    return dict.fromkeys(able, True) | {
        "name": one.name,
        "label": one.name,
        "labelPlural": f"{one.name}s",
        "keyPrefix": one.prefix,
        "custom": one.name.endswith("__c"),
        "customSetting": False,
        "deprecatedAndHidden": False,
        "urls": {"sobject": url, "describe": f"{url}/describe", "rowTemplate": f"{url}/{{ID}}"},
    }


def _field(one: Object, field: Field) -> dict[str, Any]:
    number = field.type in ("currency", "double", "percent")
    nillable = not field.required and field.type not in ("boolean", "id")
    picks = [
        {"active": True, "defaultValue": False, "label": name, "validFor": None, "value": name}
        for name in _VALUES.get((one.name, field.name), ())
    ]
    return {
        "name": field.name,
        "label": field.name,
        "type": field.type,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "length": field.length,
        "byteLength": field.length * 3,
        "precision": 18 if number else 0,
        "scale": 2 if number else 0,
        "createable": field.createable,
        "updateable": field.updateable,
        "nillable": nillable and "d" not in field.marks,
        "defaultedOnCreate": "d" in field.marks or field.type == "boolean",
        "autoNumber": field.name == "ContractNumber",
        "calculated": False,
        "caseSensitive": field.unique,
        "custom": field.name.endswith("__c"),
        "externalId": field.unique,
        "unique": field.unique,
        "idLookup": field.lookup,
        "nameField": field.name == "Name",
        "filterable": field.type not in ("textarea", "address"),
        "sortable": field.type not in ("textarea", "address"),
        "restrictedPicklist": False,
        "picklistValues": picks,
        "referenceTo": [field.refers_to] if field.refers_to else [],
        "relationshipName": field.name.removesuffix("Id") if field.refers_to else None,
    }
