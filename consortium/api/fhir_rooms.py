"""Which rooms have which FHIR types: the one table of routes and capability statement."""

from typing import Final

from consortium.api.fhir import Table
from consortium.patients import fhir as patients
from consortium.records import fhir as records
from consortium.records.model import RELEASABLE
from consortium.referrals import serving as booked
from consortium.referrals import viewing as referrals
from consortium.teleconsult import serving as teleconsult

_RECORDS: Final = dict.fromkeys(RELEASABLE, (records.resources,))
TABLE: Final[Table] = {
    **_RECORDS,
    "Patient": (patients.resources,),
    "ServiceRequest": (referrals.resources,),
    "Task": (referrals.resources,),
    "Appointment": (teleconsult.resources, booked.appointments),
}
