//! In whose compartments a resource is.

use std::{borrow::Cow, collections::BTreeSet};

use super::walk::{objects, root_text, roots, texts};
use crate::{Definitions, json::Element, reference::local_id};

/// The ids of the patients in whose compartments a line's resource is: a Patient in its own alone, any other in those of
/// the patients it refers to. The rule by which a writer selects and organises; a source that feeds blocks of patients
/// goes by it. None for what is no resource.
pub fn patients_of(line: &[u8], definitions: &Definitions<'_>, base_url: &str) -> BTreeSet<String> {
    let Some(resource_type) = root_text(line, "resourceType") else { return BTreeSet::new() };
    patients(line, &resource_type, definitions, base_url).into_iter().map(Cow::into_owned).collect()
}

/// The same where the type is known; one patient may come several times.
pub(super) fn patients<'l>(
    line: &'l [u8],
    resource_type: &str,
    definitions: &Definitions<'_>,
    base_url: &str,
) -> Vec<Cow<'l, str>> {
    if resource_type == "Patient" {
        return root_text(line, "id").into_iter().collect();
    }
    let mut found = Vec::new();
    for path in definitions.patient_paths(resource_type) {
        let mut steps = path.split('.');
        let root = steps.next().unwrap_or_default();
        let steps: Vec<&str> = steps.collect();
        roots(line, root).for_each(|element| patients_at(element, &steps, base_url, &mut found));
    }
    found
}

/// The ids of the patients to whom the references at the end of a path lead.
fn patients_at<'l>(element: Element<'l>, steps: &[&str], base_url: &str, found: &mut Vec<Cow<'l, str>>) {
    for object in objects(element) {
        match steps.split_first() {
            Some((step, rest)) => {
                let below = object.members().filter(|(name, _)| name.is(step));
                below.for_each(|(_, element)| patients_at(element, rest, base_url, found));
            }
            None => {
                found.extend(texts(object, "reference").filter_map(|reference| {
                    local_id(&reference, "Patient", base_url).map(|id| Cow::Owned(id.to_owned()))
                }))
            }
        }
    }
}
