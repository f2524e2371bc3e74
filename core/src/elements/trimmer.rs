//! What is kept of the resources of each type.

use std::collections::BTreeMap;

use super::{Elements, ElementsError, RootElement, trim};
use crate::{Definitions, errors::LineError, json::Header};

/// [`Elements`], made ready for lines.
#[derive(Clone, Debug)]
pub struct Trimmer<'d> {
    /// Of each listed type the elements that are kept.
    kept: BTreeMap<&'d str, Kept<'d>>,
    /// Whether all types are listed, those too that FHIR does not define.
    is_of_all: bool,
}

impl<'d> Trimmer<'d> {
    /// Resolves the items for the resource types of a FHIR version. Items that were read back from a record are checked
    /// again: one that is not understood must not become an element that is cut unasked.
    pub fn new(elements: &Elements, definitions: &Definitions<'d>) -> Result<Self, Vec<ElementsError>> {
        if !elements.is_empty() {
            Elements::parse(&[&elements.to_string()], definitions)?;
        }
        let listed = definitions.resource_types().filter(|name| elements.concerns(name));
        let kept = listed.map(|name| (name, Kept::new(name, elements, definitions))).collect();
        Ok(Self { kept, is_of_all: elements.has_item_for_all() })
    }

    /// Whether resources of that type are left as they are (BD-ELEM-07).
    pub fn is_whole(&self, resource_type: &str) -> bool {
        !self.is_of_all && !self.kept.contains_key(resource_type)
    }

    /// Appends a line without what was not asked for to `out`: one JSON object, each kept member byte for byte, in the
    /// order of the line. Trimming a trimmed line changes nothing.
    ///
    /// The line is read whole, and if that fails nothing is appended: it is an error if it is not one JSON object, if
    /// `resourceType` or `id` is absent, if one of these or `meta` or its `tag` stands there twice or has the wrong JSON
    /// type, and if all types are listed and this is none of FHIR's, since then what it cannot do without is not known.
    pub fn trim(&self, resource_type: &str, line: &[u8], out: &mut Vec<u8>) -> Result<(), LineError> {
        let resource = Header::read(line, |_| true)?;
        match self.kept.get(resource_type) {
            Some(kept) => trim::trim(line, &resource.captured, |property| kept.has(property), out),
            None if self.is_of_all => Err(LineError::UnknownType),
            None => {
                out.extend_from_slice(line);
                Ok(())
            }
        }
    }
}

/// The root elements that are kept of a type.
#[derive(Clone, Debug)]
struct Kept<'d> {
    /// JSON properties, in byte order.
    plain: Vec<&'d str>,
    choices: Vec<RootElement<'d>>,
}

impl<'d> Kept<'d> {
    fn new(resource_type: &str, elements: &Elements, definitions: &Definitions<'d>) -> Self {
        let is_kept =
            |element: &RootElement<'_>| element.is_essential() || elements.lists(resource_type, element.name());
        let kept = definitions.root_elements(resource_type).filter(is_kept);
        let (choices, plain): (Vec<_>, Vec<_>) = kept.partition(RootElement::is_choice);
        let mut plain: Vec<_> = plain.iter().map(RootElement::name).chain(ALWAYS).collect();
        plain.sort_unstable();
        Self { plain, choices }
    }

    /// Whether a JSON property is kept: that of an element, or what belongs to its value, which begins with `_`.
    fn has(&self, property: &str) -> bool {
        let element = property.strip_prefix('_').unwrap_or(property);
        self.plain.binary_search(&element).is_ok() || self.choices.iter().any(|choice| choice.has_property(property))
    }
}

/// Kept whatever the definitions say.
const ALWAYS: [&str; 5] = ["id", "implicitRules", "meta", "modifierExtension", "resourceType"];
