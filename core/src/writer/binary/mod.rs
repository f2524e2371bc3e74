//! Binary resources: what is a patient's goes out as a DocumentReference (BD-KICK-11), what is nobody's as it stands, in
//! exports of everything (BD-KICK-12).
//!
//! Whose a Binary is, its `securityContext` says:
//!
//! | it refers to | the Binary is | decided by |
//! |---|---|---|
//! | nothing | nobody's | the main pass |
//! | a Patient | that patient's: a document with that subject | the main pass |
//! | another resource of this server | whosever that is; a document with it in `context.related` | a pass of its own |
//! | a resource of another server, of a type outside the Patient compartment | nobody's | the main pass |
//! | another resource of another server, or what cannot be told | someone's: a document that no patient here has | the main pass |
//!
//! The document is judged like any DocumentReference, in place of the Binary: by `_type`, `_typeFilter`, time, patients,
//! labels and consent; what is withheld by the Binary's own name is withheld too.

mod collect;
mod content;
mod document;

use std::borrow::Cow;

use super::{
    Validation,
    context::has,
    newcomers::of_new,
    select::{Selector, Verdict},
    walk::{objects, root_text, roots, texts},
};
use crate::{
    Definitions, Edition,
    json::{Header, LineError},
    kick_off::Level,
    pass::Collection,
    plan::ExportPlan,
    reference::{is_id, local_target},
    sets::Set,
};

pub(super) use collect::{Finder, plan_of_binaries};
pub(super) use content::{Contents, content_name};
pub(super) use document::document_id;

/// Judges Binary resources, and makes documents of them.
pub(super) struct Binaries {
    definitions: Definitions<'static>,
    base_url: String,
    /// Whether what is nobody's is exported.
    of_everything: bool,
    /// Whether there are documents; otherwise what is a patient's is left out.
    documents: bool,
    validation: Validation,
    document: Vec<u8>,
}

/// A line, or the document made of it, and what becomes of that.
pub(super) struct Judged<'l> {
    pub(super) verdict: Result<Verdict<'l>, LineError>,
    pub(super) line: &'l [u8],
    /// The line is a document.
    pub(super) is_document: bool,
}

impl Judged<'_> {
    fn out() -> Self {
        Self { verdict: Ok(Verdict::Out), line: &[], is_document: false }
    }
}

/// What says whose a Binary is.
enum SecurityContext<'l> {
    /// Nothing, or nothing of a patient's.
    Nobody,
    /// A patient, by id if it is one of this server.
    Patient(Option<Cow<'l, str>>),
    /// `Type/id` of another resource of this server.
    Resource(String),
    /// A resource that cannot be looked at.
    Elsewhere,
}

impl Binaries {
    /// `None` where Binary is a type like any other.
    pub(super) fn new(plan: &ExportPlan, validation: Validation) -> Option<Self> {
        // The rule came with 2.0.
        (plan.edition != Edition::Stu1).then(|| Self {
            definitions: plan.definitions(),
            base_url: plan.base_url.clone(),
            of_everything: plan.level == Level::System,
            documents: plan.has_binary_documents(),
            validation,
            document: Vec::new(),
        })
    }

    /// What becomes of a line in the main pass.
    pub(super) fn judge<'l>(&'l mut self, selector: &'l Selector<'_>, line: &'l [u8], sets: &[Set<'_>]) -> Judged<'l> {
        let as_it_stands = |verdict| Judged { verdict, line, is_document: false };
        if let Some(verdict) = selector.judge_apart_from(Some("Binary"), line, sets) {
            return as_it_stands(verdict);
        }
        // What a document is made of is part of the output.
        if let Err(problem) = self.check(line) {
            return as_it_stands(Err(problem));
        }
        match self.security_context(line) {
            SecurityContext::Nobody => as_it_stands(selector.judge(line, sets)),
            SecurityContext::Resource(_) => Judged::out(),
            context @ (SecurityContext::Patient(_) | SecurityContext::Elsewhere) => {
                self.judge_document(selector, line, &context, sets)
            }
        }
    }

    /// What becomes of a line in the pass that has found out about the others' security contexts. `selector` asks nothing
    /// about patients. What is wrong with a line, the main pass says.
    pub(super) fn judge_found<'l>(
        &'l mut self,
        selector: &'l Selector<'_>,
        line: &'l [u8],
        sets: &[Set<'_>],
    ) -> Judged<'l> {
        if !is_binary(line) || self.check(line).is_err() {
            return Judged::out();
        }
        let context = self.security_context(line);
        match &context {
            SecurityContext::Resource(target) => {
                let found = |text: &str| has(sets, Collection::SecurityContextsFound, text);
                if found(target) {
                    self.judge_document(selector, line, &context, sets)
                } else if self.of_everything && found(&nobodys(target)) {
                    Judged { verdict: selector.judge(line, sets), line, is_document: false }
                } else {
                    // It is not there, or withheld; what it governs is too.
                    Judged::out()
                }
            }
            _ => Judged::out(),
        }
    }

    /// Whether a line is a Binary whose security context was found to be a new member's.
    pub(super) fn is_of_new(&self, line: &[u8], sets: &[Set<'_>]) -> bool {
        is_binary(line)
            && match self.security_context(line) {
                SecurityContext::Resource(target) => has(sets, Collection::SecurityContextsFound, &of_new(&target)),
                _ => false,
            }
    }

    fn judge_document<'l>(
        &'l mut self,
        selector: &'l Selector<'_>,
        line: &[u8],
        context: &SecurityContext<'_>,
        sets: &[Set<'_>],
    ) -> Judged<'l> {
        if !self.documents {
            return Judged::out();
        }
        self.document.clear();
        let written = document::write(line, context, &mut self.document);
        let verdict = written.and_then(|()| selector.judge(&self.document, sets));
        Judged { verdict, line: &self.document, is_document: true }
    }

    /// Whether a line is a resource, whole.
    fn check(&self, line: &[u8]) -> Result<(), LineError> {
        if self.validation == Validation::Trust {
            return Ok(());
        }
        let header = Header::read(line, |_| false)?;
        if is_id(&header.id) { Ok(()) } else { Err(LineError::MalformedId) }
    }

    fn security_context<'l>(&self, line: &'l [u8]) -> SecurityContext<'l> {
        security_context(line, &self.definitions, &self.base_url)
    }
}

/// Whether a line is a Binary. Of what is no resource, any answer.
fn is_binary(line: &[u8]) -> bool {
    root_text(line, "resourceType").is_some_and(|name| name == "Binary")
}

fn security_context<'l>(line: &'l [u8], definitions: &Definitions<'_>, base_url: &str) -> SecurityContext<'l> {
    let Some(context) = roots(line, "securityContext").next() else { return SecurityContext::Nobody };
    let text = |name| objects(context).flat_map(|object| texts(object, name)).next();
    let reference = text("reference").unwrap_or_default();
    if let Some((resource_type, id)) = local_target(&reference, base_url) {
        return match resource_type {
            "Patient" => SecurityContext::Patient(Some(Cow::Owned(id.to_owned()))),
            _ => SecurityContext::Resource(format!("{resource_type}/{id}")),
        };
    }
    let named = text("type").or_else(|| type_in_url(&reference).map(|name| Cow::Owned(name.to_owned())));
    match named.as_deref() {
        Some("Patient") => SecurityContext::Patient(None),
        Some(name) if definitions.resource_type(name).is_some() && !definitions.in_patient_compartment(name) => {
            SecurityContext::Nobody
        }
        _ => SecurityContext::Elsewhere,
    }
}

/// The type that a RESTful URL of any server names.
fn type_in_url(url: &str) -> Option<&str> {
    let unversioned = url.split_once("/_history/").map_or(url, |(url, _)| url);
    let (above, id) = unversioned.rsplit_once('/')?;
    is_id(id).then(|| above.rsplit('/').next()).flatten()
}

/// How a set says that a resource is in nobody's compartment.
fn nobodys(target: &str) -> String {
    format!("nobody's {target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_binary_is_its_security_context_says() {
        let whose = |context: &str| {
            let line = format!(r#"{{"resourceType":"Binary","id":"b"{context}}}"#);
            match security_context(line.as_bytes(), &Definitions::R4, "https://ehr.example/fhir") {
                SecurityContext::Nobody => "nobody".to_owned(),
                SecurityContext::Patient(id) => format!("patient {}", id.unwrap_or_default()),
                SecurityContext::Resource(target) => target,
                SecurityContext::Elsewhere => "elsewhere".to_owned(),
            }
        };
        for (reference, expected) in [
            ("Patient/p", "patient p"),
            (r"Patient\/p", "patient p"),
            ("https://ehr.example/fhir/Patient/p/_history/2", "patient p"),
            ("https://other.example/fhir/Patient/p", "patient "),
            ("Observation/o", "Observation/o"),
            ("https://ehr.example/fhir/Observation/o", "Observation/o"),
            ("https://other.example/fhir/Observation/o/_history/1", "elsewhere"),
            ("urn:uuid:00000000-0000-0000-0000-000000000000", "elsewhere"),
            ("Practitioner/d", "Practitioner/d"),
            ("https://other.example/fhir/Practitioner/d", "nobody"),
        ] {
            assert_eq!(whose(&format!(r#","securityContext":{{"reference":"{reference}"}}"#)), expected, "{reference}");
        }
        assert_eq!(whose(""), "nobody");
        assert_eq!(whose(r#","securityContext":{"type":"Patient","identifier":{"value":"1"}}"#), "patient ");
        assert_eq!(whose(r#","securityContext":{"display":"someone"}"#), "elsewhere");
    }
}
