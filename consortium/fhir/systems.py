"""Names of code systems and identifier systems, in one place.

Our own hang below a name that can never resolve (RFC 2606, `.invalid`): nothing is ever fetched.
"""

ROOT = "https://sharing-chain.invalid/fhir"
BASE = f"{ROOT}/R4/"
"""Base of fullUrls, so that `Patient/ID` means the same inside a message and in a store."""
EVENT = f"{ROOT}/CodeSystem/exchange-kind"
PART = f"{ROOT}/CodeSystem/message-part"
CASE_STATE = f"{ROOT}/CodeSystem/case-state"
REASON = f"{ROOT}/CodeSystem/reason"
SERVICE = f"{ROOT}/CodeSystem/service"
PURPOSE = f"{ROOT}/CodeSystem/purpose"
ROLE = f"{ROOT}/CodeSystem/role"
CASE = f"{ROOT}/NamingSystem/case"
EXCHANGE = f"{ROOT}/NamingSystem/exchange"
MEMBER = f"{ROOT}/NamingSystem/member"
PERSON = f"{ROOT}/NamingSystem/person"
KEY = f"{ROOT}/NamingSystem/key"
LOCAL_NUMBER = f"{ROOT}/NamingSystem/local-number"
NO_NUMBER_REASON = f"{ROOT}/StructureDefinition/no-number-reason"

# HL7 China connectathon guide, core-patient (fhir.yeyanbo.cn, 2025.3.12)
ID_NUMBER = "urn:oid:2.16.840.1.113883.2.23.1.19.1"
"""居民身份证."""
SOCIAL_CARD = "urn:oid:2.16.840.1.113883.2.23.1.19.2"
"""社会保障卡."""
CREDIT_CODE = f"{ROOT}/NamingSystem/unified-social-credit-code"
"""统一社会信用代码 (GB 32100)."""

ICD10 = "http://hl7.org/fhir/sid/icd-10"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ISO_PINYIN = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
SIGNATURE_TYPE = "urn:iso-astm:E1762-95:2013"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
LOINC_CONSENT = "59284-0"
