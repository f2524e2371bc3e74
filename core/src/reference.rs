//! Literal references: which resource of this server a text names.

/// The id if `reference` names a resource of `resource_type` on this server: `Type/id`, `Type/id/_history/n`, or either
/// below the server's own base (BD-KICK-13). Fragments, URNs, searches and other servers name nothing here.
pub(crate) fn local_id<'r>(reference: &'r str, resource_type: &str, base_url: &str) -> Option<&'r str> {
    let relative = match reference.strip_prefix(base_url) {
        Some(rest) if !base_url.is_empty() => rest.strip_prefix('/')?,
        _ => reference,
    };
    let rest = relative.strip_prefix(resource_type)?.strip_prefix('/')?;
    let id = match rest.split_once('/') {
        None => rest,
        Some((id, version)) => version.strip_prefix("_history/").map(|_| id)?,
    };
    is_id(id).then_some(id)
}

/// Type and id of the resource of this server that `reference` names, of whatever type.
pub(crate) fn local_target<'r>(reference: &'r str, base_url: &str) -> Option<(&'r str, &'r str)> {
    let relative = match reference.strip_prefix(base_url) {
        Some(rest) if !base_url.is_empty() => rest.strip_prefix('/')?,
        _ => reference,
    };
    let (resource_type, _) = relative.split_once('/')?;
    let named = !resource_type.is_empty() && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    let id = named.then(|| local_id(relative, resource_type, ""))??;
    Some((resource_type, id))
}

/// A FHIR id: 1 to 64 of `A-Z a-z 0-9 - .`
pub(crate) fn is_id(text: &str) -> bool {
    is_id_of_bytes(text.as_bytes())
}

/// The same of bytes that need not be text.
pub(crate) fn is_id_of_bytes(text: &[u8]) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'.');
    // Without a branch for each byte, so that the compiler takes many at once.
    (1..=64).contains(&text.len()) && text.iter().fold(true, |all, byte| all & is_one(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_resources_are_named() {
        let id = |reference| local_id(reference, "Patient", "https://ehr.example/fhir");
        for reference in [
            "Patient/p.1",
            "Patient/p.1/_history/3",
            "https://ehr.example/fhir/Patient/p.1",
            "https://ehr.example/fhir/Patient/p.1/_history/3",
        ] {
            assert_eq!(id(reference), Some("p.1"), "{reference}");
        }
        for reference in [
            "",
            "Patient",
            "Patient/",
            "Patient/a/b",
            "Patient/a b",
            "Patient?identifier=1",
            "#p1",
            "urn:uuid:1",
            "patient/1",
            "PatientX/1",
            "Group/1",
            "https://other.example/fhir/Patient/p.1",
            "https://ehr.example/fhirPatient/p.1",
            "/Patient/1",
        ] {
            assert_eq!(id(reference), None, "{reference}");
        }
        assert_eq!(local_id("Patient/1", "Patient", ""), Some("1"));
    }

    #[test]
    fn a_target_is_of_any_type() {
        let target = |reference| local_target(reference, "https://ehr.example/fhir");
        assert_eq!(target("Practitioner/1/_history/2"), Some(("Practitioner", "1")));
        assert_eq!(target("https://ehr.example/fhir/Location/l"), Some(("Location", "l")));
        for reference in ["#1", "urn:uuid:1", "https://other.example/fhir/Location/l", "Location", "/1", "a b/1", "1"] {
            assert_eq!(target(reference), None, "{reference}");
        }
    }
}
