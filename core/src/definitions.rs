//! What FHIR itself defines: resource types, their root elements and search parameters, and the Patient compartment, as
//! tables that need no parsing.
//!
//! A table is sorted text, one row a line, tab between columns; a look-up is a binary search over the bytes. So a
//! component instance that lives for one request pays nothing to load it, and another FHIR version is data, not code.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{elements::RootElement, search::SearchParameter};

/// The definitions of one FHIR version.
#[derive(Clone, Copy, Debug)]
pub struct Definitions<'d> {
    resource_types: Table<'d>,
    patient_compartment: Table<'d>,
    search_parameters: Table<'d>,
    root_elements: Table<'d>,
    added_search_parameters: Table<'d>,
    element_types: Table<'d>,
    attachments: Table<'d>,
}

impl Definitions<'static> {
    /// FHIR R4 (4.0.1), generated from the official package; see `core/data/r4/SOURCE.md`.
    pub const R4: Self = Self {
        resource_types: Table(include_str!("../data/r4/resource-types.txt")),
        patient_compartment: Table(include_str!("../data/r4/patient-compartment.tsv")),
        search_parameters: Table(include_str!("../data/r4/search-parameters.tsv")),
        root_elements: Table(include_str!("../data/r4/root-elements.tsv")),
        added_search_parameters: Table(""),
        element_types: Table(include_str!("../data/r4/element-types.tsv")),
        attachments: Table(include_str!("../data/r4/attachments.tsv")),
    };

    /// The search parameters that US Core adds to R4, for
    /// [`with_added_search_parameters`](Self::with_added_search_parameters); see `core/data/us-core/SOURCE.md`.
    pub const US_CORE_SEARCH_PARAMETERS: &'static str = include_str!("../data/us-core/search-parameters.tsv");
}

impl<'d> Definitions<'d> {
    /// Definitions of another FHIR version: lines sorted by bytes, as in `core/data/r4`. Without root elements,
    /// attachments, search parameters and the means to add some; see [`with_root_elements`](Self::with_root_elements),
    /// [`with_attachments`](Self::with_attachments), [`with_search_parameters`](Self::with_search_parameters) and [`with_element_types`](Self::with_element_types).
    pub fn from_tables(resource_types: &'d str, patient_compartment: &'d str) -> Self {
        Self {
            resource_types: Table(resource_types),
            patient_compartment: Table(patient_compartment),
            search_parameters: Table(""),
            root_elements: Table(""),
            added_search_parameters: Table(""),
            element_types: Table(""),
            attachments: Table(""),
        }
    }

    /// The same with these search parameters, in the columns of `core/data/r4/search-parameters.tsv`.
    #[must_use]
    pub fn with_search_parameters(self, search_parameters: &'d str) -> Self {
        Self { search_parameters: Table(search_parameters), ..self }
    }

    /// The same with these root elements, in the columns of `core/data/r4/root-elements.tsv`.
    #[must_use]
    pub fn with_root_elements(self, root_elements: &'d str) -> Self {
        Self { root_elements: Table(root_elements), ..self }
    }

    /// The same with search parameters that the FHIR version does not have itself, in the same columns; in place of any
    /// that were added before. A [`SearchParameterSet`](crate::search::SearchParameterSet) makes such a table.
    #[must_use]
    pub fn with_added_search_parameters(self, added: &'d str) -> Self {
        Self { added_search_parameters: Table(added), ..self }
    }

    /// The same with the types of elements, in the columns of `core/data/r4/element-types.tsv`: what a FHIRPath
    /// expression is read with, and nothing else.
    #[must_use]
    pub fn with_element_types(self, element_types: &'d str) -> Self {
        Self { element_types: Table(element_types), ..self }
    }

    /// The same with these attachments, in the columns of `core/data/r4/attachments.tsv`.
    #[must_use]
    pub fn with_attachments(self, attachments: &'d str) -> Self {
        Self { attachments: Table(attachments), ..self }
    }

    /// The type of that name, if this FHIR version has it. Names are case-sensitive.
    pub fn resource_type(&self, name: &str) -> Option<ResourceType> {
        self.resource_types.rows(name).next().map(|_| ResourceType(name.into()))
    }

    /// All resource types, in name order.
    pub fn resource_types(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        self.resource_types.0.lines()
    }

    /// Where resources of that type refer to the patients whose compartment they are in: dotted element paths.
    /// Empty for a type outside the Patient compartment.
    pub fn patient_paths(&self, resource_type: &str) -> impl Iterator<Item = &'d str> + use<'d> {
        self.patient_compartment.rows(resource_type).filter_map(|row| row.split('\t').nth(1))
    }

    /// Whether the Patient compartment holds resources of that type.
    pub fn in_patient_compartment(&self, resource_type: &str) -> bool {
        self.patient_paths(resource_type).next().is_some()
    }

    /// The search parameter of that code, which is case-sensitive: one of the resource type's own, or one that all
    /// resources have, such as `_lastUpdated`.
    pub fn search_parameter(&self, resource_type: &str, code: &str) -> Option<SearchParameter<'d>> {
        let mut rows = self.search_rows(resource_type);
        let row = rows.find(|row| row.split('\t').next() == Some(code))?;
        SearchParameter::read(row, self.resource_types.0)
    }

    /// The codes of all search parameters that resources of that type have, the type's own first.
    pub fn search_codes(&self, resource_type: &str) -> impl Iterator<Item = &'d str> + use<'d> {
        self.search_rows(resource_type).filter_map(|row| row.split('\t').next())
    }

    /// The elements that a resource of that type may have at its root, the type's own first; none for what is no
    /// resource type.
    pub fn root_elements(&self, resource_type: &str) -> impl Iterator<Item = RootElement<'d>> + use<'d> {
        self.rows_with_those_above([self.root_elements], resource_type).flat_map(RootElement::read)
    }

    /// Which JSON properties of resources of that type are Attachments, at any depth, each with the property whose object
    /// has it: `("content", "attachment")` of a DocumentReference, `("", "photo")` of a Patient. Besides, any
    /// `valueAttachment` is one.
    pub fn attachments(&self, resource_type: &str) -> impl Iterator<Item = (&'d str, &'d str)> + use<'d> {
        self.attachments.rows(resource_type).filter_map(|row| row.split_once('\t'))
    }

    /// The elements that resources of any type may have at their root, those of many types several times.
    pub(crate) fn root_elements_of_any_type(&self) -> impl Iterator<Item = RootElement<'d>> + use<'d> {
        self.root_elements
            .0
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .flat_map(|(_, row)| RootElement::read(row))
    }

    /// The search parameters of a type and of the types above it, each type's own before what was added to it; none for
    /// what is no resource type.
    fn search_rows(&self, resource_type: &str) -> impl Iterator<Item = &'d str> + use<'d> {
        self.rows_with_those_above([self.search_parameters, self.added_search_parameters], resource_type)
    }

    /// The rows of a type and then of the abstract types above it, table by table; none for what is no resource type.
    fn rows_with_those_above<const TABLES: usize>(
        &self,
        tables: [Table<'d>; TABLES],
        resource_type: &str,
    ) -> impl Iterator<Item = &'d str> + use<'d, TABLES> {
        let rows = move |name: &str| tables.map(|table| table.rows(name)).into_iter().flatten();
        let above = self.types_above(resource_type);
        above
            .map(|above| rows(resource_type).chain(above.iter().flat_map(move |name| rows(name))))
            .into_iter()
            .flatten()
    }

    /// The abstract types whose elements and search parameters a resource type has too, nearest first; `None` for what is
    /// no resource type.
    pub(crate) fn types_above(&self, resource_type: &str) -> Option<&'static [&'static str]> {
        self.resource_types.rows(resource_type).next()?;
        Some(match resource_type {
            "Binary" | "Bundle" | "Parameters" => &["Resource"],
            _ => &["DomainResource", "Resource"],
        })
    }

    /// The row of a search parameter as it stands in the table, without resource type and code.
    pub(crate) fn search_row(&self, resource_type: &str, code: &str) -> Option<&'d str> {
        let abstract_rows = || self.search_parameters.rows(resource_type);
        let rows = self.search_rows(resource_type).chain(abstract_rows());
        rows.filter_map(|row| row.split_once('\t')).find(|(own, _)| *own == code).map(|(_, row)| row)
    }

    /// What the table of element types says of a type, or of an element that has elements of its own.
    pub(crate) fn elements_of(&self, key: &str) -> Option<&'d str> {
        self.element_types.rows(key).next()
    }

    /// Whether expressions can be read at all.
    pub(crate) fn has_element_types(&self) -> bool {
        !self.element_types.0.is_empty()
    }
}

/// The name of a FHIR resource type, such as `Observation`. Made by [`Definitions::resource_type`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ResourceType(Box<str>);

impl ResourceType {
    /// The name as FHIR spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ResourceType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Read back from our own records: the shape of a type name is checked, its existence was when the record was made.
impl<'de> Deserialize<'de> for ResourceType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let well_formed = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if well_formed { Ok(Self(name.into())) } else { Err(D::Error::custom("not a resource type name")) }
    }
}

/// Lines sorted by bytes; the first column is the key.
#[derive(Clone, Copy, Debug)]
struct Table<'d>(&'d str);

impl<'d> Table<'d> {
    /// The rows of a key, each without its key column, in table order.
    fn rows(&self, key: &str) -> impl Iterator<Item = &'d str> + use<'d> {
        let from = self.lower_bound(key);
        let key_length = key.len();
        let rest = self.0.get(from..).unwrap_or_default();
        let key: Box<str> = key.into();
        rest.lines()
            .take_while(move |line| line.split('\t').next() == Some(&*key))
            .map(move |line| line.get(key_length + 1..).unwrap_or_default())
    }

    /// The offset of the first line whose key is not less than `key`.
    fn lower_bound(&self, key: &str) -> usize {
        let bytes = self.0.as_bytes();
        let (mut low, mut high) = (0, bytes.len());
        // INVARIANT: `low` and `high` stand at line starts; lines before `low` have smaller keys, lines from `high` on do not.
        while low < high {
            let middle = low + (high - low) / 2;
            let start = bytes.get(low..middle).and_then(|b| memchr::memrchr(b'\n', b)).map_or(low, |i| low + i + 1);
            let tail = bytes.get(start..high).unwrap_or_default();
            let end = memchr::memchr(b'\n', tail).map_or(high, |i| start + i + 1);
            let line = bytes.get(start..end).unwrap_or_default();
            let line_key = line.split(|b| matches!(b, b'\t' | b'\n' | b'\r')).next().unwrap_or_default();
            if line_key < key.as_bytes() { low = end } else { high = start }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key() {
        for (index, name) in Definitions::R4.resource_types().enumerate() {
            assert_eq!(Definitions::R4.resource_type(name).unwrap().as_str(), name, "row {index}");
        }
        assert!(Definitions::R4.resource_types().count() > 140);
        for absent in ["", "A", "patient", "Patien", "Patients", "Resource", "DomainResource", "Zzz", "Patient\tx"] {
            assert_eq!(Definitions::R4.resource_type(absent), None, "{absent}");
        }
    }

    #[test]
    fn the_patient_compartment_has_66_types() {
        let types = Definitions::R4.resource_types().filter(|t| Definitions::R4.in_patient_compartment(t));
        assert_eq!(types.count(), 66);
        let paths: Vec<_> = Definitions::R4.patient_paths("Appointment").collect();
        assert_eq!(paths, ["participant.actor"]);
        assert!(!Definitions::R4.in_patient_compartment("Practitioner"));
    }

    #[test]
    fn every_type_has_root_elements() {
        let names = |of| Definitions::R4.root_elements(of).map(|element| element.name()).collect::<Vec<_>>();
        for name in Definitions::R4.resource_types() {
            assert!(names(name).ends_with(&["implicitRules", "id", "meta", "language"]), "{name}");
        }
        assert_eq!(
            names("Binary"),
            ["contentType", "securityContext", "data", "implicitRules", "id", "meta", "language"]
        );
        assert!(names("Patient").contains(&"deceased") && names("Patient").contains(&"modifierExtension"));
        let of_any_type = Definitions::R4.root_elements_of_any_type();
        let of_any_type: std::collections::BTreeSet<_> = of_any_type.map(|element| element.name()).collect();
        let of_each = Definitions::R4.resource_types().flat_map(names);
        assert_eq!(of_any_type, of_each.collect());
        assert!(names("DomainResource").is_empty() && names("Patien").is_empty());
    }

    #[test]
    fn attachments_are_known_by_type() {
        let of = |name| Definitions::R4.attachments(name).collect::<Vec<_>>();
        assert_eq!(of("DocumentReference"), [("content", "attachment")]);
        assert_eq!(of("Patient"), [("", "photo")]);
        assert_eq!(of("Communication"), [("payload", "contentAttachment")]);
        assert!(of("Observation").is_empty() && of("").is_empty());
    }

    #[test]
    fn another_version_is_data() {
        let other = Definitions::from_tables("Alpha\nBeta\n", "Beta\twho\twho\nBeta\tx\ty.z\n");
        assert_eq!(other.root_elements("Beta").count(), 0);
        let other = other.with_root_elements("Beta\twho\tvalue[x]\nResource\t\tid\n");
        let elements = other.root_elements("Beta").map(|element| (element.name(), element.is_choice()));
        assert_eq!(elements.collect::<Vec<_>>(), [("who", false), ("value", true), ("id", false)]);
        assert_eq!(other.patient_paths("Beta").collect::<Vec<_>>(), ["who", "y.z"]);
        assert!(other.resource_type("Patient").is_none());
    }
}
