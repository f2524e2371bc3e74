//! The compact expressions of the table: cut into their parts as they are used.

/// Branches joined by `|`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expression<'d>(pub(super) &'d str);

/// One way from a resource, or from a composite's context, to values of one FHIR type.
#[derive(Debug)]
pub(super) struct Branch<'d> {
    pub(super) route: Route<'d>,
    /// The FHIR type of the values.
    pub(super) kind: &'d str,
    /// The resource type that references must lead to.
    pub(super) resolves_to: Option<&'d str>,
}

#[derive(Debug)]
pub(super) enum Route<'d> {
    /// Down from where the expression starts.
    Path(&'d str),
    /// Down from the resource, wherever the expression starts.
    FromResource(&'d str),
    /// Whether one of these properties, joined by `,`, has a value other than `false`.
    HoldsOtherThanFalse(&'d str),
}

/// Steps down, one after the other. A copy, so that what follows them outlives the table.
pub(super) type Path = Box<[Step]>;

/// One step down: a property, and which of its values count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) property: Box<str>,
    pub(super) condition: Option<Condition>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The value at that place, from 0.
    At(usize),
    /// Values below which that path reaches that text.
    Equals { path: Path, text: Box<str> },
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
    pub(super) fn roots(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        let (first, properties) = match self.route {
            Route::Path(path) | Route::FromResource(path) => (first_property(path), ""),
            Route::HoldsOtherThanFalse(properties) => (None, properties),
        };
        first.into_iter().chain(properties.split(',').filter(|property| !property.is_empty()))
    }

    /// The property that the route ends at; none if that is a condition, a test or the resource.
    pub(super) fn last_property(&self) -> Option<&'d str> {
        match self.route {
            Route::Path(path) | Route::FromResource(path) => path.rsplit('.').next().filter(|name| !name.is_empty()),
            Route::HoldsOtherThanFalse(_) => None,
        }
    }

    pub(super) fn is_resource(&self) -> bool {
        matches!(self.route, Route::Path(""))
    }

    pub(super) fn starts_at_resource(&self) -> bool {
        matches!(self.route, Route::FromResource(_))
    }
}

impl<'d> Route<'d> {
    fn read(text: &'d str) -> Self {
        if let Some(properties) = text.strip_prefix('?') {
            Self::HoldsOtherThanFalse(properties)
        } else if let Some(path) = text.strip_prefix('%') {
            Self::FromResource(path)
        } else {
            Self::Path(text)
        }
    }
}

/// Steps joined by `.`.
pub(super) fn read_path(text: &str) -> Path {
    let mut rest = text;
    let steps = std::iter::from_fn(|| {
        let (step, behind) = Step::split_first(rest)?;
        rest = behind;
        Some(step)
    });
    steps.collect()
}

/// The property that a path starts with.
fn first_property(path: &str) -> Option<&str> {
    path.split(['.', '[']).next().filter(|property| !property.is_empty())
}

impl Step {
    /// The first step of a path and the path after it.
    fn split_first(path: &str) -> Option<(Self, &str)> {
        let property = first_property(path)?;
        let rest = path.strip_prefix(property)?;
        // Within the brackets a dot is part of the condition.
        let (condition, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((condition, rest)) => (Some(Condition::read(condition)?), rest),
            None => (None, rest),
        };
        Some((Self { property: property.into(), condition }, rest.strip_prefix('.').unwrap_or(rest)))
    }
}

impl Condition {
    fn read(text: &str) -> Option<Self> {
        match text.split_once('=') {
            Some((path, text)) => {
                Some(Self::Equals { path: path.split('.').map(Step::plain).collect(), text: text.into() })
            }
            None => text.parse().ok().map(Self::At),
        }
    }
}

impl Step {
    fn plain(property: &str) -> Self {
        Self { property: property.into(), condition: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_dots_outside_brackets() {
        let path = read_path("item[extension.url=http://a.b/c].answer[0].valueReference");
        let below = Box::new([Step::plain("extension"), Step::plain("url")]);
        let url = Condition::Equals { path: below, text: "http://a.b/c".into() };
        let step = |property: &str, condition| Step { property: property.into(), condition };
        let expected = [step("item", Some(url)), step("answer", Some(Condition::At(0))), Step::plain("valueReference")];
        assert_eq!(*path, expected);
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
                for (branch, text) in branches.iter().zip(text.split('|')) {
                    assert!(branch.kind.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{line}");
                    assert!(branch.resolves_to.is_none() || branch.kind == "Reference", "{line}");
                    let (Route::Path(path) | Route::FromResource(path)) = branch.route else { continue };
                    let (route, _) = text.rsplit_once(':').unwrap();
                    assert_eq!(written(&read_path(path)), route.trim_start_matches('%'), "{line}");
                }
            }
        }
    }

    fn written(path: &[Step]) -> String {
        let steps = path.iter().map(|step| {
            assert!(step.property.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let condition = match &step.condition {
                None => String::new(),
                Some(Condition::At(place)) => format!("[{place}]"),
                Some(Condition::Equals { path, text }) => format!("[{}={text}]", written(path)),
            };
            format!("{}{condition}", step.property)
        });
        steps.collect::<Vec<_>>().join(".")
    }

    #[test]
    fn routes_are_told_apart_by_their_first_character() {
        assert!(Branch::read(":Observation").unwrap().is_resource());
        assert!(Branch::read("%a.b:string").unwrap().starts_at_resource());
        let either = Branch::read("?a,b:boolean").unwrap();
        assert_eq!(either.roots().collect::<Vec<_>>(), ["a", "b"]);
    }
}
