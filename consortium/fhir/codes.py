"""Required code bindings of FHIR R4 for the types in use.

fhir.resources accepts any word where R4 allows a closed set (research/reliability.md, 0.1), so the
sets stand here: hl7.org/fhir/R4, each type's page, "Terminology Bindings", strength required. A
name is the model class and its element; a line that is indented goes on with the one above.
"""

_CODES = """\
Address.type postal physical both
Address.use home work temp old billing
Age.comparator < <= >= >
AllergyIntolerance.category food medication environment biologic
AllergyIntolerance.criticality low high unable-to-assess
AllergyIntolerance.type allergy intolerance
AllergyIntoleranceReaction.severity mild moderate severe
Appointment.status proposed pending booked arrived fulfilled cancelled noshow entered-in-error
  checked-in waitlist
AppointmentParticipant.required required optional information-only
AppointmentParticipant.status accepted declined tentative needs-action
AppointmentResponse.participantStatus accepted declined tentative needs-action
AuditEvent.action C R U D E
AuditEvent.outcome 0 4 8 12
AuditEventAgentNetwork.type 1 2 3 4 5
Bundle.type document message transaction transaction-response batch batch-response history
  searchset collection
BundleEntryRequest.method GET HEAD POST PUT DELETE PATCH
BundleEntrySearch.mode match include outcome
CapabilityStatement.fhirVersion 4.0.1
CapabilityStatement.kind instance capability requirements
CapabilityStatement.status draft active retired unknown
CapabilityStatementDocument.mode producer consumer
CapabilityStatementMessagingSupportedMessage.mode sender receiver
CapabilityStatementRest.mode client server
CapabilityStatementRestInteraction.code transaction batch search-system history-system
CapabilityStatementRestResource.conditionalDelete not-supported single multiple
CapabilityStatementRestResource.conditionalRead not-supported modified-since not-match
  full-support
CapabilityStatementRestResource.referencePolicy literal logical resolves enforced local
CapabilityStatementRestResource.versioning no-version versioned versioned-update
CapabilityStatementRestResourceInteraction.code read vread update patch delete history-instance
  history-type create search-type
CapabilityStatementRestResourceSearchParam.type number date string token reference composite
  quantity uri special
CarePlan.intent proposal plan order option
CarePlan.status draft active on-hold revoked completed entered-in-error unknown
CarePlanActivityDetail.kind Appointment CommunicationRequest DeviceRequest MedicationRequest
  NutritionOrder Task ServiceRequest VisionPrescription
CarePlanActivityDetail.status not-started scheduled in-progress on-hold completed cancelled
  stopped unknown entered-in-error
CareTeam.status proposed active suspended inactive entered-in-error
Claim.status active cancelled draft entered-in-error
Claim.use claim preauthorization predetermination
Communication.priority routine urgent asap stat
Communication.status preparation in-progress not-done on-hold stopped completed entered-in-error
  unknown
Composition.confidentiality U L M N R V
Composition.status preliminary final amended entered-in-error
CompositionAttester.mode personal professional legal official
CompositionRelatesTo.code replaces transforms signs appends
CompositionSection.mode working snapshot changes
Consent.status draft proposed active rejected inactive entered-in-error
ConsentProvision.type deny permit
ConsentProvisionData.meaning instance related dependents authoredby
ContactPoint.system phone fax email pager url sms other
ContactPoint.use home work temp old mobile
Contract.status amended appended cancelled disputed entered-in-error executable executed
  negotiable offered policy rejected renewed revoked resolved terminated
ContractContentDefinition.publicationStatus amended appended cancelled disputed entered-in-error
  executable executed negotiable offered policy rejected renewed revoked resolved terminated
Contributor.type author editor reviewer endorser
Count.comparator < <= >= >
Coverage.status active cancelled draft entered-in-error
DataRequirementSort.direction ascending descending
Device.status active inactive entered-in-error unknown
DeviceDeviceName.type udi-label-name user-friendly-name patient-reported-name manufacturer-name
  model-name other
DeviceUdiCarrier.entryType barcode rfid manual card self-reported unknown
DiagnosticReport.status registered partial preliminary final amended corrected appended cancelled
  entered-in-error unknown
Distance.comparator < <= >= >
DocumentReference.docStatus preliminary final amended entered-in-error
DocumentReference.status current superseded entered-in-error
DocumentReferenceRelatesTo.code replaces transforms signs appends
Duration.comparator < <= >= >
Encounter.status planned arrived triaged in-progress onleave finished cancelled entered-in-error
  unknown
EncounterLocation.status planned active reserved completed
EncounterStatusHistory.status planned arrived triaged in-progress onleave finished cancelled
  entered-in-error unknown
Endpoint.status active suspended error off entered-in-error test
ExplanationOfBenefit.outcome queued complete error partial
ExplanationOfBenefit.status active cancelled draft entered-in-error
ExplanationOfBenefit.use claim preauthorization predetermination
ExplanationOfBenefitProcessNote.type display print printoper
Flag.status active inactive entered-in-error
Goal.lifecycleStatus proposed planned accepted active on-hold completed cancelled
  entered-in-error rejected
HealthcareServiceAvailableTime.daysOfWeek mon tue wed thu fri sat sun
HumanName.use usual official temp nickname anonymous old maiden
Identifier.use usual official temp secondary old
ImagingStudy.status registered available cancelled entered-in-error unknown
Immunization.status completed entered-in-error not-done
List.mode working snapshot changes
List.status current retired entered-in-error
Location.mode instance kind
Location.status active suspended inactive
LocationHoursOfOperation.daysOfWeek mon tue wed thu fri sat sun
Medication.status active inactive entered-in-error
MedicationAdministration.status in-progress not-done on-hold completed entered-in-error stopped
  unknown
MedicationRequest.intent proposal plan order original-order reflex-order filler-order
  instance-order option
MedicationRequest.priority routine urgent asap stat
MedicationRequest.status active on-hold cancelled completed entered-in-error stopped draft unknown
MedicationStatement.status active completed entered-in-error intended stopped on-hold unknown
  not-taken
MessageHeaderResponse.code ok transient-error fatal-error
Narrative.status generated extensions additional empty
Observation.status registered preliminary final amended corrected cancelled entered-in-error
  unknown
OperationOutcomeIssue.code invalid structure required value invariant security login unknown
  expired forbidden suppressed processing not-supported duplicate multiple-matches not-found
  deleted too-long code-invalid extension too-costly business-rule conflict transient lock-error
  no-store exception timeout incomplete throttled informational
OperationOutcomeIssue.severity fatal error warning information
ParameterDefinition.use in out
Patient.gender male female other unknown
PatientContact.gender male female other unknown
PatientLink.type replaced-by replaces refer seealso
Practitioner.gender male female other unknown
PractitionerRoleAvailableTime.daysOfWeek mon tue wed thu fri sat sun
Procedure.status preparation in-progress not-done on-hold stopped completed entered-in-error
  unknown
ProvenanceEntity.role derivation revision quotation source removal
Quantity.comparator < <= >= >
RelatedArtifact.type documentation justification citation predecessor successor derived-from
  depends-on composed-of
RelatedPerson.gender male female other unknown
ServiceRequest.intent proposal plan directive order original-order reflex-order filler-order
  instance-order option
ServiceRequest.priority routine urgent asap stat
ServiceRequest.status draft active on-hold revoked completed entered-in-error unknown
Slot.status busy free busy-unavailable busy-tentative entered-in-error
Specimen.status available unavailable unsatisfactory entered-in-error
Task.intent unknown proposal plan order original-order reflex-order filler-order instance-order
  option
Task.priority routine urgent asap stat
Task.status draft requested received accepted rejected ready cancelled in-progress on-hold failed
  completed entered-in-error
TimingRepeat.dayOfWeek mon tue wed thu fri sat sun
TimingRepeat.durationUnit s min h d wk mo a
TimingRepeat.periodUnit s min h d wk mo a
TimingRepeat.when MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late
  NIGHT PHS HS WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV
TriggerDefinition.type named-event periodic data-changed data-added data-modified data-removed
  data-accessed data-access-ended
"""

_TYPES = """\
AllergyIntolerance Appointment AppointmentResponse AuditEvent Binary Bundle CapabilityStatement
CarePlan CareTeam Claim Communication Composition Condition Consent Contract Coverage Device
DiagnosticReport DocumentReference Encounter Endpoint ExplanationOfBenefit Flag Goal
HealthcareService ImagingStudy Immunization List Location Medication MedicationAdministration
MedicationRequest MedicationStatement MessageHeader Observation OperationOutcome Organization
Parameters Patient Practitioner PractitionerRole Procedure Provenance RelatedPerson Schedule
ServiceRequest Slot Specimen Task
"""

_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-"
_ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"

CONCEPTS: dict[str, tuple[str, frozenset[str]]] = {
    "Condition.clinicalStatus": (
        _CONDITION + "clinical",
        frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved"}),
    ),
    "Condition.verificationStatus": (
        _CONDITION + "ver-status",
        frozenset(
            {
                "unconfirmed",
                "provisional",
                "differential",
                "confirmed",
                "refuted",
                "entered-in-error",
            }
        ),
    ),
    "AllergyIntolerance.clinicalStatus": (
        _ALLERGY + "clinical",
        frozenset({"active", "inactive", "resolved"}),
    ),
    "AllergyIntolerance.verificationStatus": (
        _ALLERGY + "verification",
        frozenset({"unconfirmed", "confirmed", "refuted", "entered-in-error"}),
    ),
}
"""CodeableConcepts with a required binding: the one code system and its codes."""

TYPES = frozenset(_TYPES.split())
"""The resource types that this program reads and writes.

Others are refused: their bindings are not in the table, and the models of fhir.resources are R4B,
which differs from R4 in types that are not here (evidence, medicinal products, subscriptions).
"""

R4_TARGETS: dict[str, frozenset[str]] = {
    "Observation.subject": frozenset({"Patient", "Group", "Device", "Location"}),
}
"""Reference targets where R4B allows more than R4."""

R4B_ONLY = frozenset({"valueCodeableReference", "valueRatioRange"})
"""Elements that R4B added to types in use."""


def _table(text: str) -> dict[str, frozenset[str]]:
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            rows[-1].extend(line.split())
        else:
            rows.append(line.split())
    return {name: frozenset(codes) for name, *codes in rows}


CODES = _table(_CODES)
"""Element of a model class to the codes that it may hold."""
