//! Chained parameters: a question about the resource referred to, asked of that resource, and answered by the set of
//! those that meet it (FHIR R4 search, 3.1.1.4.15).

use super::{
    alternatives::Alternatives,
    ast::{Criterion, Link, ParameterName, Query},
    compile::{Compiler, undecidable_code},
    error::{TypeFilterError, TypeFilterErrorKind},
    program::{Condition, Test},
    sets::AskedSets,
    undecidable::Undecidable,
};
use crate::{
    Definitions, ResourceType,
    search::{ParameterType, SearchParameter},
};

/// The first link of a chain, followed.
struct Step<'d> {
    /// The reference parameter.
    parameter: SearchParameter<'d>,
    /// The type of the resources referred to.
    target: ResourceType,
    /// What is asked of them.
    rest: ParameterName,
}

impl Query {
    /// The same query, with the type said of every link that leaves it to be found out. So it means the same to whoever
    /// knows other search parameters.
    pub(crate) fn with_targets(mut self, definitions: &Definitions<'_>) -> Self {
        let names = self.criteria.iter_mut().map(|criterion| &mut criterion.name).chain(&mut self.ignored);
        for name in names {
            let mut resource_type = self.resource_type.clone();
            let mut rest = name.clone();
            for link in &mut name.links {
                let Ok(step) = step(&resource_type, definitions, &rest) else { break };
                if let Link::Chain { target, .. } = link {
                    *target = Some(step.target.clone());
                }
                (resource_type, rest) = (step.target, step.rest);
            }
        }
        self
    }
}

impl<'d> Compiler<'_, 'd> {
    /// A criterion behind a link.
    pub(super) fn chain(self, criterion: &Criterion, sets: &mut AskedSets) -> Result<Test<'d>, TypeFilterError> {
        let name = &criterion.name;
        let at_name = |kind| TypeFilterError::new(kind, name.place.0);
        let Step { parameter, target, rest } = self.followed(name, sets).map_err(at_name)?;
        let asked = Criterion { name: rest, alternatives: criterion.alternatives.clone() };
        // What it asks for in its turn is asked for first.
        let inner = Compiler { resource_type: &target, ..self };
        inner.test(&asked, sets).map_err(|error| error.in_chain(&target))?;
        let query =
            Query { resource_type: target, criteria: vec![asked], ignored: Vec::new(), origin: Default::default() };
        let wanted = sets.chain(&query.to_string()).map_err(at_name)?;
        Ok(Test {
            asked: criterion.to_string(),
            parameter,
            condition: Condition::Any(Alternatives::Chained(vec![wanted])),
        })
    }

    /// Whether the name of a criterion without a value is one.
    pub(super) fn check_chain(self, name: &ParameterName, sets: &AskedSets) -> Result<(), TypeFilterErrorKind> {
        let Step { target, rest, .. } = self.followed(name, sets)?;
        let inner = Compiler { resource_type: &target, ..self };
        inner.check_name(&rest, sets).map_err(|kind| kind.in_chain(&target))
    }

    fn followed(self, name: &ParameterName, sets: &AskedSets) -> Result<Step<'d>, TypeFilterErrorKind> {
        let undecidable = |undecidable| Err(TypeFilterErrorKind::Undecidable(undecidable));
        match name.links.first() {
            Some(Link::Has { .. }) => undecidable(Undecidable::ReverseChain),
            _ if !sets.answered().chains => undecidable(Undecidable::Chain),
            _ if name.links.len() > CHAIN_LINKS_MAX => Err(TypeFilterErrorKind::LongChain),
            _ => step(self.resource_type, self.definitions, name),
        }
    }
}

fn step<'d>(
    resource_type: &ResourceType,
    definitions: &Definitions<'d>,
    name: &ParameterName,
) -> Result<Step<'d>, TypeFilterErrorKind> {
    let Some((Link::Chain { code, target }, links)) = name.links.split_first() else {
        return Err(TypeFilterErrorKind::Undecidable(Undecidable::ReverseChain));
    };
    if let Some(undecidable) = undecidable_code(code) {
        return Err(TypeFilterErrorKind::Undecidable(undecidable));
    }
    let parameter = Compiler::parameter(resource_type, definitions, code)?;
    let is_reference = parameter.parameter_type() == ParameterType::Reference;
    // A canonical names something wherever it is kept, and is told by nothing that is.
    if !is_reference || !parameter.kinds().any(|kind| kind == "Reference") {
        return Err(TypeFilterErrorKind::NotAReference);
    }
    let rest = ParameterName {
        links: links.to_vec(),
        code: name.code.clone(),
        modifier: name.modifier.clone(),
        place: name.place,
    };
    let target = match target {
        Some(target) if parameter.leads_to().any(|name| name == target.as_str()) => target.clone(),
        Some(_) => {
            return Err(TypeFilterErrorKind::TargetType {
                accepted: parameter.leads_to().map(str::to_owned).collect(),
            });
        }
        None => only_target(&parameter, definitions, &rest)?,
    };
    if GUARDED.contains(&target.as_str()) {
        return Err(TypeFilterErrorKind::Undecidable(Undecidable::Guarded));
    }
    Ok(Step { parameter, target, rest })
}

/// The type meant by a link that says none: the only one of which the rest can be asked.
fn only_target(
    parameter: &SearchParameter<'_>,
    definitions: &Definitions<'_>,
    rest: &ParameterName,
) -> Result<ResourceType, TypeFilterErrorKind> {
    let code = match rest.links.first() {
        Some(Link::Chain { code, .. }) => code,
        // Says nothing of the types that have it.
        Some(Link::Has { .. }) => return Err(TypeFilterErrorKind::Undecidable(Undecidable::ReverseChain)),
        None => &rest.code,
    };
    let has_it = |target: &&str| definitions.search_parameter(target, code).is_some();
    let all: Vec<&str> = parameter.leads_to().collect();
    let with_it: Vec<&str> = all.iter().copied().filter(has_it).collect();
    // Of a single type it is said below that it has no such parameter.
    match (with_it.as_slice(), all.as_slice()) {
        ([target], _) | ([], [target]) => definitions.resource_type(target).ok_or(TypeFilterErrorKind::NotAReference),
        ([], _) => Err(TypeFilterErrorKind::UnknownParameter { nearest: None }),
        (several, _) => {
            let accepted = several.iter().map(|target| format!("{}:{target}.", parameter.code())).collect();
            Err(TypeFilterErrorKind::AmbiguousChain { accepted })
        }
    }
}

/// Links of a chain that is followed. Each is a pass over the data of its type, and FHIR's examples stop at two.
pub(super) const CHAIN_LINKS_MAX: usize = 3;

/// Types of which other resources decide who may see them: by what governs a Binary, and whom a Provenance tells of.
const GUARDED: [&str; 2] = ["Binary", "Provenance"];
