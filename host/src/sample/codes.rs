//! Coded ideas and the systems they come from.

use super::elements::coding;
use super::json::Object;

/// One idea of a code system.
#[derive(Clone, Copy)]
pub(super) struct Code {
    /// The system's address, in two parts where many share the first.
    pub(super) system: (&'static str, &'static str),
    pub(super) code: &'static str,
    pub(super) display: &'static str,
}

impl Code {
    /// The code as a CodeableConcept.
    pub(super) fn concept(&self) -> Object {
        Object::new().list("coding", [coding(self)]).field("text", self.display)
    }

    /// The code as a CodeableConcept without a text of its own, as status and category usually are.
    pub(super) fn bare_concept(&self) -> Object {
        Object::new().list("coding", [coding(self)])
    }
}

pub(super) const fn loinc(code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://loinc.org", ""), code, display }
}

pub(super) const fn snomed(code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://snomed.info/sct", ""), code, display }
}

pub(super) const fn rxnorm(code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://www.nlm.nih.gov/research/umls/rxnorm", ""), code, display }
}

pub(super) const fn cvx(code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://hl7.org/fhir/sid/cvx", ""), code, display }
}

/// The provider taxonomy of the National Uniform Claim Committee.
pub(super) const fn nucc(code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://nucc.org/provider-taxonomy", ""), code, display }
}

/// Race and ethnicity as the CDC codes them.
pub(super) const fn cdc_race(code: &'static str, display: &'static str) -> Code {
    Code { system: ("urn:oid:2.16.840.1.113883.6.238", ""), code, display }
}

pub(super) const fn language(code: &'static str, display: &'static str) -> Code {
    Code { system: ("urn:ietf:bcp:47", ""), code, display }
}

/// A code of a system at terminology.hl7.org, by the system's last path segment.
pub(super) const fn hl7(system: &'static str, code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://terminology.hl7.org/CodeSystem/", system), code, display }
}

/// A code of a system that US Core defines.
pub(super) const fn us_core(system: &'static str, code: &'static str, display: &'static str) -> Code {
    Code { system: ("http://hl7.org/fhir/us/core/CodeSystem/", system), code, display }
}
