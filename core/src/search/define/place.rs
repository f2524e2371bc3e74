//! From a branch of an expression to the JSON properties on its way and the FHIR types at its end.

use super::{
    error::{ExpressionError, ExpressionProblem, name as shown},
    syntax::{Branch, Element, Filter, Named},
};
use crate::{Definitions, search::nearest};

/// A place that a branch leads to.
#[derive(Clone, Debug)]
pub(super) struct Place<'d> {
    definitions: Definitions<'d>,
    /// JSON property names with their conditions, joined by dots, from where the branch starts.
    pub(super) path: String,
    /// The FHIR type of the values there.
    pub(super) kind: &'d str,
    /// The key of its elements in the table: a type, or the path of an element. That of a primitive type has no row.
    key: String,
}

/// The types that an element may have.
struct Types<'d> {
    /// Joined by `|`.
    names: &'d str,
    /// Whether these are all types that there are.
    are_any: bool,
    /// The name of a choice element, without its type.
    stem: Option<&'d str>,
    /// The type that was named together with the choice element.
    named: Option<&'d str>,
}

impl<'d> Types<'d> {
    fn names(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        self.named.unwrap_or(self.names).split('|')
    }
}

impl<'d> Place<'d> {
    /// A resource type, as the start of branches.
    pub(super) fn resource(definitions: Definitions<'d>, name: &'d str) -> Self {
        Self { definitions, path: String::new(), kind: name, key: name.to_owned() }
    }

    /// The same place as the start of other branches.
    pub(super) fn as_start(&self) -> Self {
        Self { path: String::new(), ..self.clone() }
    }

    /// Where a branch leads from here: one place for each type that a choice element may have. Of an element at its end
    /// that may be of any type only the types in `open` count.
    pub(super) fn follow(&self, branch: &Branch<'_>, open: &[&str]) -> Result<Vec<Self>, ExpressionError> {
        let mut places = vec![self.clone()];
        for (index, element) in branch.elements.iter().enumerate() {
            let open = (index + 1 == branch.elements.len()).then_some(open);
            let mut below = Vec::new();
            let mut first_problem = None;
            for place in &places {
                match place.step(element, open) {
                    Ok(places) => below.extend(places),
                    // Of the types of a choice some may lack the element; all of them, and it is a mistake.
                    Err(problem) => _ = first_problem.get_or_insert(problem),
                }
                if below.len() > PLACES_MAX {
                    return Err(ExpressionError::new(ExpressionProblem::TooManyWays, element.name.position));
                }
            }
            if let Some(problem) = first_problem.filter(|_| below.is_empty()) {
                return Err(problem);
            }
            places = below;
        }
        if let Some(target) = branch.resolves_to {
            places.retain(|place| place.kind == "Reference");
            if places.is_empty() {
                return Err(ExpressionError::new(ExpressionProblem::NotAReference, target.position));
            }
        }
        Ok(places)
    }

    fn step(&self, element: &Element<'_>, open: Option<&[&str]>) -> Result<Vec<Self>, ExpressionError> {
        let types = self.types_of(element.name)?;
        let is_wanted = |name: &&str| match (element.cast, open) {
            (Some(cast), _) => is_of_type(name, cast.text),
            (None, Some(open)) if types.are_any && types.named.is_none() => open.contains(name),
            (None, _) => true,
        };
        let wanted = types.names().filter(is_wanted);
        let places: Vec<_> = wanted.map(|name| self.below(element, name, types.stem)).collect::<Result<_, _>>()?;
        match (places.is_empty(), element.cast) {
            (false, _) => Ok(places),
            (true, Some(cast)) => {
                let types = types.names().map(|name| kind_of(name).to_owned()).collect();
                Err(ExpressionError::new(ExpressionProblem::NeverOfType { types }, cast.position))
            }
            (true, None) => Err(ExpressionError::new(ExpressionProblem::AnyType, element.name.position)),
        }
    }

    /// The place of an element, as one of its types.
    fn below(&self, element: &Element<'_>, type_name: &'d str, stem: Option<&str>) -> Result<Self, ExpressionError> {
        let name = element.name.text;
        let kind = kind_of(type_name);
        let key = match type_name.strip_prefix('#') {
            Some(other) => other.to_owned(),
            None if matches!(kind, "BackboneElement" | "Element") => format!("{}.{name}", self.key),
            None => kind.to_owned(),
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        // A choice element appears in JSON under its name and its data type.
        let property = stem.map_or_else(|| name.to_owned(), |stem| format!("{stem}{}", capitalised(kind)));
        let path = format!("{}{dot}{property}", self.path);
        let place = Self { definitions: self.definitions, path, kind, key };
        let Some(filter) = &element.filter else { return Ok(place) };
        place.check(filter, element.name.position)?;
        Ok(Self { path: format!("{}{filter}", place.path), ..place })
    }

    /// A condition on an element that is not there, or is no text, would never hold.
    fn check(&self, filter: &Filter<'_>, position: usize) -> Result<(), ExpressionError> {
        match filter {
            Filter::At(_) => Ok(()),
            Filter::HasExtension(_) => self.types_of(Named { text: "extension", position }).map(|_| ()),
            Filter::Equals { element, .. } => {
                let types = self.types_of(*element)?;
                let is_text = types.names().all(is_text) && (types.stem.is_none() || types.named.is_some());
                is_text.then_some(()).ok_or_else(|| ExpressionError::new(ExpressionProblem::NotAText, element.position))
            }
        }
    }

    fn types_of(&self, element: Named<'_>) -> Result<Types<'d>, ExpressionError> {
        let any = self.definitions.elements_of(ANY_TYPE).unwrap_or_default();
        self.rows().find_map(|row| types_in(row, element.text, any)).ok_or_else(|| {
            let names = self.rows().flat_map(groups).flat_map(|(_, elements)| elements);
            let nearest = nearest(element.text, names.map(|name| name.strip_suffix("[x]").unwrap_or(name)));
            let (name, of, nearest) = (shown(element.text), self.key.clone(), nearest.map(str::to_owned));
            ExpressionError::new(ExpressionProblem::UnknownElement { name, of, nearest }, element.position)
        })
    }

    /// The elements of the place, then those that all types of its kind have.
    fn rows(&self) -> impl Iterator<Item = &'d str> {
        let own = self.definitions.elements_of(&self.key);
        let above: &[&str] = match self.definitions.types_above(&self.key) {
            Some(above) => above,
            None if self.key == "DomainResource" => &["Resource"],
            None if self.key.contains('.') => &["BackboneElement", "Element"],
            None if self.key == "Resource" || own.is_none() => &[],
            None => &["Element"],
        };
        own.into_iter().chain(above.iter().filter_map(|key| self.definitions.elements_of(key)))
    }
}

/// Whether JSON has a text for values of that type.
pub(super) fn is_text(kind: &str) -> bool {
    kind.starts_with(|first: char| first.is_ascii_lowercase())
        && !matches!(kind, "boolean" | "decimal" | "integer" | "positiveInt" | "unsignedInt")
}

/// The types of one element, of what the table says of the place where it is. `any` are all types.
fn types_in<'d>(row: &'d str, element: &str, any: &'d str) -> Option<Types<'d>> {
    groups(row).find_map(|(names, mut elements)| {
        let are_any = names == ANY_TYPE;
        let names = if are_any { any } else { names };
        elements.find_map(|name| match name.strip_suffix("[x]") {
            None => (name == element).then_some(Types { names, are_any, stem: None, named: None }),
            Some(stem) if stem == element => Some(Types { names, are_any, stem: Some(stem), named: None }),
            // Many write the property of the JSON for the element and its type.
            Some(stem) => {
                let suffix = element.strip_prefix(stem)?;
                let named = names.split('|').find(|name| capitalised(name) == suffix)?;
                Some(Types { names, are_any, stem: Some(stem), named: Some(named) })
            }
        })
    })
}

/// Types, and the elements that have them; see `core/data/r4/element-types.tsv`.
fn groups(row: &str) -> impl Iterator<Item = (&str, std::str::Split<'_, char>)> {
    row.split(' ').filter_map(|group| group.rsplit_once(':')).map(|(types, names)| (types, names.split(',')))
}

/// The table's short form for what has elements of its own.
fn kind_of(type_name: &str) -> &str {
    if type_name == "." || type_name.starts_with('#') { "BackboneElement" } else { type_name }
}

/// Whether a data type is that of a cast, or a specialisation of it, as FHIRPath says of `as`.
fn is_of_type(data_type: &str, cast: &str) -> bool {
    // One expression of R4 writes `DateTime`.
    let is_same = cast.eq_ignore_ascii_case(data_type);
    is_same || SPECIALISED.iter().any(|(general, special)| *general == cast && special.contains(&data_type))
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

/// The row of the types that an element may have that may be of any, and their sign.
const ANY_TYPE: &str = "*";

/// The data types that specialise others, as their definitions say.
const SPECIALISED: [(&str, &[&str]); 4] = [
    ("integer", &["positiveInt", "unsignedInt"]),
    ("Quantity", &["Age", "Count", "Distance", "Duration"]),
    ("string", &["code", "id", "markdown"]),
    ("uri", &["canonical", "oid", "url", "uuid"]),
];

/// An extension's value has some fifty types; what lies two such elements deep is no search parameter.
const PLACES_MAX: usize = 400;
