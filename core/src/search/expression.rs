//! The compact expressions of the table: cut into their parts as they are used, without a copy.

/// Branches joined by `|`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expression<'d>(pub(super) &'d str);

/// One way from a resource, or from a composite's context, to values of one FHIR type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch<'d> {
    pub(super) route: Route<'d>,
    /// The FHIR type of the values.
    pub(super) kind: &'d str,
    /// The resource type that references must lead to.
    pub(super) resolves_to: Option<&'d str>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'d> {
    /// Down from where the expression starts.
    Path(Path<'d>),
    /// Down from the resource, wherever the expression starts.
    FromResource(Path<'d>),
    /// Whether one of these properties, joined by `,`, has a value other than `false`.
    HoldsOtherThanFalse(&'d str),
}

/// Steps joined by `.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path<'d>(&'d str);

/// One step down: a property, and which of its values count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step<'d> {
    pub(super) property: &'d str,
    pub(super) condition: Option<Condition<'d>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'d> {
    /// The value at that place, from 0.
    At(usize),
    /// Values below which that path reaches that text.
    Equals { path: Path<'d>, text: &'d str },
}

impl<'d> Expression<'d> {
    pub(super) fn branches(self) -> impl Iterator<Item = Branch<'d>> + use<'d> {
        self.0.split('|').filter_map(Branch::read)
    }
}

impl<'d> Branch<'d> {
    /// `route:kind` or `route:kind>Type`. A route may hold a URL, so the last colon counts.
    fn read(text: &'d str) -> Option<Self> {
        let (route, kind) = text.rsplit_once(':')?;
        let (kind, resolves_to) = match kind.split_once('>') {
            Some((kind, target)) => (kind, Some(target)),
            None => (kind, None),
        };
        Some(Self { route: Route::read(route), kind, resolves_to })
    }

    /// The first property, or properties, of a route from the resource. None if the route is the resource.
    pub(super) fn roots(self) -> impl Iterator<Item = &'d str> + use<'d> {
        let (path, properties) = match self.route {
            Route::Path(path) | Route::FromResource(path) => (Some(path), ""),
            Route::HoldsOtherThanFalse(properties) => (None, properties),
        };
        let first = path.and_then(Path::split_first).map(|(step, _)| step.property);
        first.into_iter().chain(properties.split(',').filter(|property| !property.is_empty()))
    }

    pub(super) fn is_resource(self) -> bool {
        matches!(self.route, Route::Path(Path("")))
    }

    pub(super) fn starts_at_resource(self) -> bool {
        matches!(self.route, Route::FromResource(_))
    }
}

impl<'d> Route<'d> {
    fn read(text: &'d str) -> Self {
        if let Some(properties) = text.strip_prefix('?') {
            Self::HoldsOtherThanFalse(properties)
        } else if let Some(path) = text.strip_prefix('%') {
            Self::FromResource(Path(path))
        } else {
            Self::Path(Path(text))
        }
    }
}

impl<'d> Path<'d> {
    /// The first step and the path after it.
    pub(super) fn split_first(self) -> Option<(Step<'d>, Self)> {
        let end = self.0.find(['.', '[']).unwrap_or(self.0.len());
        let (property, rest) = self.0.split_at_checked(end)?;
        if property.is_empty() {
            return None;
        }
        // Within the brackets a dot is part of the condition.
        let (condition, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((condition, rest)) => (Some(Condition::read(condition)?), rest),
            None => (None, rest),
        };
        Some((Step { property, condition }, Path(rest.strip_prefix('.').unwrap_or(rest))))
    }
}

impl<'d> Condition<'d> {
    fn read(text: &'d str) -> Option<Self> {
        match text.split_once('=') {
            Some((path, text)) => Some(Self::Equals { path: Path(path), text }),
            None => text.parse().ok().map(Self::At),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_dots_outside_brackets() {
        let step = |property, condition| Step { property, condition };
        let (first, rest) = Path("item[extension.url=http://a.b/c].answer[0].valueReference").split_first().unwrap();
        let condition = Condition::Equals { path: Path("extension.url"), text: "http://a.b/c" };
        assert_eq!(first, step("item", Some(condition)));
        let (second, rest) = rest.split_first().unwrap();
        assert_eq!(second, step("answer", Some(Condition::At(0))));
        let (third, rest) = rest.split_first().unwrap();
        assert_eq!(third, step("valueReference", None));
        assert_eq!(rest.split_first(), None);
    }

    #[test]
    fn a_branch_ends_with_its_type() {
        let branch = Branch::read("extension[url=http://a.b/c].valueReference:Reference>Patient").unwrap();
        assert_eq!((branch.kind, branch.resolves_to), ("Reference", Some("Patient")));
        assert_eq!(branch.roots().collect::<Vec<_>>(), ["extension"]);
        assert!(Branch::read("").is_none());
    }

    #[test]
    fn every_expression_of_the_table_is_read_to_its_end() {
        for line in include_str!("../../data/r4/search-parameters.tsv").lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let components = columns[5].split(';').filter_map(|component| component.split_once('='));
            let texts = components.map(|(_, text)| text).chain([columns[3]]);
            for text in texts.filter(|text| !text.is_empty()) {
                let branches: Vec<_> = Expression(text).branches().collect();
                assert_eq!(branches.len(), text.split('|').count(), "{line}");
                for branch in branches {
                    assert!(branch.kind.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{line}");
                    assert!(branch.resolves_to.is_none() || branch.kind == "Reference", "{line}");
                    let (Route::Path(mut path) | Route::FromResource(mut path)) = branch.route else { continue };
                    while let Some((step, rest)) = path.split_first() {
                        assert!(step.property.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{line}");
                        path = rest;
                    }
                    assert_eq!(path, Path(""), "{line}");
                }
            }
        }
    }

    #[test]
    fn routes_are_told_apart_by_their_first_character() {
        assert!(Branch::read(":Observation").unwrap().is_resource());
        assert!(Branch::read("%a.b:string").unwrap().starts_at_resource());
        let either = Branch::read("?a,b:boolean").unwrap();
        assert_eq!(either.roots().collect::<Vec<_>>(), ["a", "b"]);
    }
}
