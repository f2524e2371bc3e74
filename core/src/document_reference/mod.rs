//! DocumentReference for a file of electronic health information that is not FHIR (the Argonaut EHIDocumentReference
//! profile). The builder can only make conforming resources: what the profile requires is an argument.

use serde_json::{Map, Value, json};

use crate::reference::is_id;

/// A DocumentReference of the EHIDocumentReference profile.
#[derive(Clone, Debug)]
pub struct DocumentReference {
    id: Option<String>,
    description: String,
    subject: Option<String>,
    contents: Vec<Content>,
}

/// One file, or one rendition of it.
#[derive(Clone, Debug)]
pub struct Content {
    attachment: Map<String, Value>,
    format: Option<Value>,
}

impl DocumentReference {
    /// A document of one file. `description` says how to process it: where the format is documented (EHI-DOC-04).
    pub fn new(description: impl Into<String>, content: Content) -> Self {
        Self { id: None, description: description.into(), subject: None, contents: vec![content] }
    }

    /// With an id. An id that is not a FHIR id is left away: none is better than a wrong one.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = is_id(id).then(|| id.to_owned());
        self
    }

    /// With the patient it is about, by id.
    #[must_use]
    pub fn with_patient(mut self, id: &str) -> Self {
        self.subject = is_id(id).then(|| format!("Patient/{id}"));
        self
    }

    /// With one more rendition.
    #[must_use]
    pub fn with_content(mut self, content: Content) -> Self {
        self.contents.push(content);
        self
    }

    /// As one line of JSON, without a line end (EHI-DOC-12).
    pub fn to_json(&self) -> String {
        let mut resource = Map::new();
        resource.insert("resourceType".into(), json!("DocumentReference"));
        resource.extend(self.id.as_ref().map(|id| ("id".to_owned(), json!(id))));
        // EHI-DOC-02: exactly one coding of the code, without a system.
        resource.insert("meta".into(), json!({ "tag": [{ "code": "ehi-export" }] }));
        resource.insert("status".into(), json!("current"));
        resource.extend(self.subject.as_ref().map(|subject| ("subject".to_owned(), json!({ "reference": subject }))));
        if !self.description.is_empty() {
            resource.insert("description".into(), json!(self.description));
        }
        resource.insert("content".into(), self.contents.iter().map(Content::to_value).collect());
        Value::Object(resource).to_string()
    }
}

impl Content {
    /// A file at a URL, absolute or relative to the file that lists it, with its media type and its size in bytes
    /// (EHI-DOC-07, EHI-DOC-08).
    pub fn at(url: &str, content_type: &str, size: u32) -> Self {
        let attachment = [("contentType", json!(content_type)), ("size", json!(size)), ("url", json!(url))];
        Self {
            attachment: attachment.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            format: None,
        }
    }

    /// With the vendor's format: where it is documented, its code, and a name to show (EHI-DOC-05, EHI-DOC-06).
    #[must_use]
    pub fn with_format(mut self, system: &str, code: &str, display: Option<&str>) -> Self {
        let mut format = json!({ "system": system, "code": code });
        if let (Some(display), Some(members)) = (display, format.as_object_mut()) {
            members.insert("display".into(), json!(display));
        }
        self.format = Some(format);
        self
    }

    /// With a title, such as the file's name.
    #[must_use]
    pub fn with_title(mut self, title: &str) -> Self {
        self.attachment.insert("title".into(), json!(title));
        self
    }

    fn to_value(&self) -> Value {
        let mut content = Map::new();
        content.insert("attachment".into(), Value::Object(self.attachment.clone()));
        content.extend(self.format.as_ref().map(|format| ("format".to_owned(), format.clone())));
        Value::Object(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_kept() {
        let content = Content::at("tables/claims.csv", "text/csv", 1234)
            .with_format("https://ehr.example/ehi", "claims-v2", Some("Claims"))
            .with_title("claims.csv");
        let document = DocumentReference::new("columns: https://ehr.example/ehi#claims", content);
        let line = document.with_id("claims").with_patient("p1").to_json();
        assert!(!line.contains('\n'));
        let resource: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(resource["meta"]["tag"], json!([{ "code": "ehi-export" }]));
        assert_eq!(resource["status"], "current");
        assert_eq!(resource["subject"]["reference"], "Patient/p1");
        assert_eq!(resource["content"][0]["attachment"]["size"], 1234);
        assert_eq!(resource["content"][0]["format"]["code"], "claims-v2");
    }
}
