//! The little of FHIRPath that search parameters are written in.
//!
//! A union of branches, each a path from a resource type down, with casts (`as`, `.as()`, `.ofType()`), with filters
//! (`[0]`, `.where(element='text')`, `.extension('url')`, `.where(hasExtension('url'))`) and, at its end, with
//! `.where(resolve() is Type)`; or `path.exists() and path != false`. Anything else is an error: a path half understood
//! would put patients' data into the wrong compartment, or the wrong resources into an export.

use std::fmt;

use super::{
    error::{ExpressionError, ExpressionProblem, name as shown},
    token::{Token, TokenKind, tokens},
};

/// One branch of the union.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Branch<'e> {
    /// Whether a component of a composite leaves its context and starts at the resource (`%resource`).
    pub(super) from_resource: bool,
    /// None if the branch is where it starts: the resource itself.
    pub(super) elements: Vec<Element<'e>>,
    /// The only type that a reference may resolve to, if the branch names one.
    pub(super) resolves_to: Option<Named<'e>>,
    /// Whether the branch asks if the element is there and is not `false`.
    pub(super) is_test: bool,
    /// Where it begins.
    pub(super) position: usize,
}

/// One step down.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'e> {
    pub(super) name: Named<'e>,
    /// The data type, where the branch chooses one of several.
    pub(super) cast: Option<Named<'e>>,
    /// Which of the element's values count.
    pub(super) filter: Option<Filter<'e>>,
}

/// A name, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'e> {
    pub(super) text: &'e str,
    pub(super) position: usize,
}

/// A condition on the values of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter<'e> {
    /// The value at that place, from 0.
    At(usize),
    /// Those with that text in that element.
    Equals { element: Named<'e>, text: &'e str },
    /// Those with an extension of that URL.
    HasExtension(&'e str),
}

/// As the tables write it.
impl fmt::Display for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(place) => write!(f, "[{place}]"),
            Self::Equals { element, text } => write!(f, "[{}={text}]", element.text),
            Self::HasExtension(url) => write!(f, "[extension.url={url}]"),
        }
    }
}

/// Where a branch that begins with a type's name starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Where we are.
    Here,
    /// At another type, so it says nothing of this one.
    Elsewhere,
    /// Nowhere: there is no such type.
    Nowhere,
}

/// The branches that start where we are: at the type that `start` knows, or at an element of it. Those of other types are
/// not looked into.
pub(super) fn branches<'e>(
    expression: &'e str,
    start: impl Fn(&str) -> Start,
) -> Result<Vec<Branch<'e>>, ExpressionError> {
    let tokens = tokens(expression);
    let mut branches = Vec::new();
    for tokens in union(&tokens)? {
        let root = tokens.iter().find(|token| token.kind != TokenKind::Symbol("("));
        let start = match root.map(|token| (token, token.kind)) {
            Some((token, TokenKind::Name(name))) if is_type(name) => match start(name) {
                Start::Nowhere => return Err(token.problem(ExpressionProblem::UnknownType(shown(name)))),
                start => start,
            },
            _ => Start::Here,
        };
        if start == Start::Here {
            branches.push(Parser { tokens, expression }.branch()?);
        }
    }
    Ok(branches)
}

/// Cuts at every `|` outside parentheses.
fn union<'t, 'e>(tokens: &'t [Token<'e>]) -> Result<Vec<&'t [Token<'e>]>, ExpressionError> {
    let mut depth = 0_usize;
    let mut cuts = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol("(") if depth == DEPTH_MAX => return Err(token.problem(ExpressionProblem::TooDeep)),
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => {
                depth = depth.checked_sub(1).ok_or_else(|| token.problem(ExpressionProblem::NotOpen))?;
            }
            TokenKind::Symbol("|") if depth == 0 => cuts.push(index),
            TokenKind::Unclosed => return Err(token.problem(ExpressionProblem::Unclosed)),
            _ => {}
        }
    }
    let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut + 1));
    let ends = cuts.iter().copied().chain([tokens.len()]);
    Ok(starts.zip(ends).map(|(start, end)| tokens.get(start..end).unwrap_or_default()).collect())
}

/// Takes one branch from its tokens.
struct Parser<'t, 'e> {
    tokens: &'t [Token<'e>],
    expression: &'e str,
}

impl<'e> Parser<'_, 'e> {
    fn branch(mut self) -> Result<Branch<'e>, ExpressionError> {
        let mut branch = Branch { position: self.position(), ..Branch::default() };
        if self.eat("%") {
            branch.from_resource = true;
            let resource = self.name("`%resource`, and no other variable")?;
            if resource.text != "resource" {
                return Err(self.unexpected_at(resource.position, "`%resource`, and no other variable"));
            }
            self.expect(".", "`.`")?;
        }
        self.path_with_cast(&mut branch)?;
        match self.tokens.first() {
            None => Ok(branch),
            Some(_) => Err(self.unexpected("`.`, `|`, `as` or the end")),
        }
    }

    /// `path` or `path as Type`.
    fn path_with_cast(&mut self, branch: &mut Branch<'e>) -> Result<(), ExpressionError> {
        self.path(branch)?;
        if !branch.is_test && self.eat_word("as") {
            let data_type = self.name("a data type")?;
            cast(branch, data_type)?;
        }
        Ok(())
    }

    /// Steps joined by dots; the first is the resource type, an element of it or, in parentheses, a path with a cast of
    /// its own.
    fn path(&mut self, branch: &mut Branch<'e>) -> Result<(), ExpressionError> {
        if self.eat("(") {
            self.path_with_cast(branch)?;
            self.expect(")", "`)`")?;
        } else if self.word().is_some_and(is_type) {
            self.tokens = self.tokens.split_first().map_or(&[], |(_, rest)| rest);
        } else {
            self.step(branch)?;
        }
        while !branch.is_test && self.eat(".") {
            self.step(branch)?;
        }
        Ok(())
    }

    fn step(&mut self, branch: &mut Branch<'e>) -> Result<(), ExpressionError> {
        let name = self.name("an element or a function")?;
        if self.eat("(") {
            return self.function(name, branch);
        }
        if branch.resolves_to.is_some() {
            return Err(ExpressionError::new(ExpressionProblem::BeyondReference, name.position));
        }
        let filter = if self.eat("[") { Some(self.place()?) } else { None };
        branch.elements.push(Element { name, cast: None, filter });
        Ok(())
    }

    /// A function, behind its opening parenthesis.
    fn function(&mut self, name: Named<'e>, branch: &mut Branch<'e>) -> Result<(), ExpressionError> {
        match name.text {
            "as" | "ofType" => {
                let data_type = self.name("a data type")?;
                self.expect(")", "`)`")?;
                cast(branch, data_type)
            }
            "exists" => {
                self.expect(")", "`)`, as `exists` takes no criteria here")?;
                self.and_is_not_false(branch)
            }
            "extension" if branch.resolves_to.is_some() => {
                Err(ExpressionError::new(ExpressionProblem::BeyondReference, name.position))
            }
            "extension" => {
                let url = self.text()?;
                self.expect(")", "`)`")?;
                let element = Named { text: "url", position: name.position };
                branch.elements.push(Element { name, cast: None, filter: Some(Filter::Equals { element, text: url }) });
                Ok(())
            }
            "where" => {
                let condition = self.condition(branch)?;
                self.expect(")", "`)`")?;
                condition.map_or(Ok(()), |condition| filter(branch, condition, name.position))
            }
            other => Err(ExpressionError::new(ExpressionProblem::UnknownFunction(shown(other)), name.position)),
        }
    }

    /// ` and path != false` behind `path.exists()`.
    fn and_is_not_false(&mut self, branch: &mut Branch<'e>) -> Result<(), ExpressionError> {
        const FORM: &str = "`exists()` only in the form `path.exists() and path != false`";
        let position = self.position();
        if !self.eat_word("and") {
            return Err(self.unexpected(FORM));
        }
        let mut other = Branch::default();
        self.path(&mut other)?;
        let names = |branch: &Branch<'e>| branch.elements.iter().map(|e| e.name.text).collect::<Vec<_>>();
        let is_plain = |branch: &Branch<'_>| branch.elements.iter().all(|e| e.cast.is_none() && e.filter.is_none());
        if names(branch) != names(&other) || !is_plain(branch) || !is_plain(&other) || other.resolves_to.is_some() {
            return Err(self.unexpected_at(position, FORM));
        }
        self.expect("!=", FORM)?;
        if !self.eat_word("false") {
            return Err(self.unexpected(FORM));
        }
        branch.is_test = true;
        Ok(())
    }

    /// `resolve() is Type`, `element='text'` or `hasExtension('url')`.
    fn condition(&mut self, branch: &mut Branch<'e>) -> Result<Option<Filter<'e>>, ExpressionError> {
        const FORMS: &str = "`resolve() is Type`, `element='text'` or `hasExtension('url')`";
        let element = self.name(FORMS)?;
        match element.text {
            "resolve" if self.eat("(") => {
                self.expect(")", "`)`")?;
                if !self.eat_word("is") {
                    return Err(self.unexpected(FORMS));
                }
                let target = self.name("a resource type")?;
                if branch.resolves_to.replace(target).is_some() {
                    return Err(ExpressionError::new(ExpressionProblem::SecondCondition, element.position));
                }
                Ok(None)
            }
            "hasExtension" if self.eat("(") => {
                let url = self.text()?;
                self.expect(")", "`)`")?;
                Ok(Some(Filter::HasExtension(url)))
            }
            _ => {
                self.expect("=", FORMS)?;
                Ok(Some(Filter::Equals { element, text: self.text()? }))
            }
        }
    }

    /// `0]`
    fn place(&mut self) -> Result<Filter<'e>, ExpressionError> {
        const FORM: &str = "a number of at most four digits";
        let place = self.take(|kind| match kind {
            TokenKind::Number(digits) if digits.len() <= 4 => digits.parse().ok(),
            _ => None,
        });
        let place = place.ok_or_else(|| self.unexpected(FORM))?;
        self.expect("]", "`]`")?;
        Ok(Filter::At(place))
    }

    /// A text in quotes, of characters that need no escape here or in the tables.
    fn text(&mut self) -> Result<&'e str, ExpressionError> {
        let position = self.position();
        let text = self.take(|kind| match kind {
            TokenKind::Text(text) => Some(text),
            _ => None,
        });
        let text = text.ok_or_else(|| self.unexpected("a text in single quotes"))?;
        let is_plain = !text.is_empty() && !text.contains(|c: char| c.is_control() || "\\|;[]".contains(c));
        is_plain.then_some(text).ok_or_else(|| ExpressionError::new(ExpressionProblem::Text, position))
    }

    fn name(&mut self, expected: &'static str) -> Result<Named<'e>, ExpressionError> {
        let position = self.position();
        let name = self.take(TokenKind::name);
        name.map(|text| Named { text, position }).ok_or_else(|| self.unexpected(expected))
    }

    fn expect(&mut self, symbol: &'static str, expected: &'static str) -> Result<(), ExpressionError> {
        if self.eat(symbol) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn eat(&mut self, symbol: &str) -> bool {
        self.take(|kind| (kind == TokenKind::Symbol(symbol)).then_some(())).is_some()
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.take(|kind| (kind == TokenKind::Name(word)).then_some(())).is_some()
    }

    fn word(&self) -> Option<&'e str> {
        self.tokens.first().and_then(|token| token.kind.name())
    }

    /// The next token, if it is one that is wanted.
    fn take<T>(&mut self, wanted: impl FnOnce(TokenKind<'e>) -> Option<T>) -> Option<T> {
        let (token, rest) = self.tokens.split_first()?;
        let taken = wanted(token.kind)?;
        self.tokens = rest;
        Some(taken)
    }

    fn position(&self) -> usize {
        self.tokens.first().map_or(self.expression.len(), |token| token.position)
    }

    fn unexpected(&self, expected: &'static str) -> ExpressionError {
        self.unexpected_at(self.position(), expected)
    }

    fn unexpected_at(&self, position: usize, expected: &'static str) -> ExpressionError {
        let rest = self.expression.get(position..).unwrap_or_default();
        let found = tokens(rest).first().and_then(|token| rest.get(..token.length)).map(shown);
        ExpressionError::new(ExpressionProblem::Unexpected { found, expected }, position)
    }
}

fn filter<'e>(branch: &mut Branch<'e>, filter: Filter<'e>, position: usize) -> Result<(), ExpressionError> {
    let problem = match branch.elements.last_mut() {
        _ if branch.resolves_to.is_some() => ExpressionProblem::SecondCondition,
        Some(element) if element.filter.is_none() => {
            element.filter = Some(filter);
            return Ok(());
        }
        Some(_) => ExpressionProblem::SecondCondition,
        None => ExpressionProblem::NoElementYet,
    };
    Err(ExpressionError::new(problem, position))
}

fn cast<'e>(branch: &mut Branch<'e>, data_type: Named<'e>) -> Result<(), ExpressionError> {
    let problem = match branch.elements.last_mut() {
        Some(element) if element.cast.is_none() => {
            element.cast = Some(data_type);
            return Ok(());
        }
        Some(_) => ExpressionProblem::SecondCast,
        None => ExpressionProblem::NoElementYet,
    };
    Err(ExpressionError::new(problem, data_type.position))
}

/// Types begin with a capital letter, elements and functions with a small one.
fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Parentheses in parentheses: FHIR's own definitions have two, and each is a call on the stack.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_taken_from_the_branch_of_the_type() {
        assert_eq!(read("AuditEvent.agent.who | Basic.author.name", "Basic"), ["author.name"]);
    }

    #[test]
    fn several_branches_of_one_type_all_count() {
        assert_eq!(
            read(
                "AuditEvent.agent.who.where(resolve() is Patient) | AuditEvent.entity.what.where(resolve() is Patient)",
                "AuditEvent"
            ),
            ["agent.who -> Patient", "entity.what -> Patient"]
        );
    }

    #[test]
    fn a_type_that_only_begins_like_another_is_another() {
        assert_eq!(read("CarePlan.subject | Care.subject", "Care"), ["subject"]);
    }

    #[test]
    fn every_spelling_of_a_cast_means_the_same() {
        for expression in [
            "(Group.value as Reference)",
            "Group.value as Reference",
            "Group.value.as(Reference)",
            "Group.value.ofType( Reference )",
            "((Group.value) as Reference)",
        ] {
            assert_eq!(read(expression, "Group"), ["value(Reference)"], "{expression}");
        }
    }

    #[test]
    fn a_cast_may_be_followed_by_a_condition() {
        let expression = "(Group.value as Reference).where(resolve() is Patient)";
        assert_eq!(read(expression, "Group"), ["value(Reference) -> Patient"]);
    }

    #[test]
    fn filters_are_read() {
        for (expression, meaning) in [
            ("Group.telecom.where(system='phone')", "telecom[system=phone]"),
            ("Group.telecom.where( system = 'mobile phone' )", "telecom[system=mobile phone]"),
            ("Group.entry[0].resource", "entry[0].resource"),
            ("Group.extension('http://a.b/c?d=e#f')", "extension[url=http://a.b/c?d=e#f]"),
            ("Group.item.where(hasExtension('http://a.b/c')).answer", "item[extension.url=http://a.b/c].answer"),
        ] {
            assert_eq!(read(expression, "Group"), [meaning]);
        }
    }

    #[test]
    fn a_test_is_read() {
        let branches = branches("Group.value.exists() and Group.value != false", start_at("Group")).unwrap();
        assert!(branches[0].is_test);
        assert_eq!(show(&branches[0]), "value");
    }

    #[test]
    fn a_branch_may_start_at_an_element_or_be_the_resource() {
        assert_eq!(read("name | alias", "Group"), ["name", "alias"]);
        assert_eq!(read("Group | Group.member", "Group"), ["", "member"]);
    }

    #[test]
    fn a_component_starts_in_its_context_or_at_the_resource() {
        let branches = branches("value.as(Quantity) | %resource.code", |_| Start::Nowhere).unwrap();
        assert_eq!(branches.iter().map(show).collect::<Vec<_>>(), ["value(Quantity)", "code"]);
        assert_eq!(branches.iter().map(|branch| branch.from_resource).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn shapes_in_the_branches_of_other_types_do_not_matter() {
        assert_eq!(read("Person.telecom.where(system<'email').first() | Group.member", "Group"), ["member"]);
    }

    #[test]
    fn what_lies_outside_is_refused_where_it_stands() {
        for (expression, position, text) in [
            ("", 0, "the end where an element or a function is expected"),
            ("Group.", 6, "the end where an element or a function is expected"),
            ("Group.value.first()", 12, "the function `first` is outside the subset"),
            ("Group.telecom.where(system='phone').where(use='home')", 36, "a second condition on one element"),
            ("Group.telecom[0].where(use='home')", 17, "a second condition on one element"),
            ("Group.telecom.where(system!='phone')", 26, "`!=` where `resolve() is Type`, `element='text'` or"),
            ("Group.telecom.where(system=\"phone\")", 27, "`\"` where a text in single quotes is expected"),
            ("Group.telecom.where(system='it''s')", 31, "`…` where `)` is expected"),
            ("Group.telecom.where(system='a|b')", 27, "a text that is empty or has a control character or one of"),
            ("Group.telecom[first]", 14, "`first` where a number"),
            ("Group.telecom[99999]", 14, "`99999` where a number"),
            ("Group.value.where(resolve() is Patient).name", 40, "a step beyond a reference"),
            ("Group.value.where(resolve() is Patient).extension('u')", 40, "a step beyond a reference"),
            ("(Group.value", 12, "the end where `)` is expected"),
            ("Group.value)", 11, "a parenthesis is closed that is not open"),
            ("Group.value as A as B", 17, "`as` where `.`, `|`, `as` or the end is expected"),
            ("Group.value.as(A).as(B)", 21, "a second cast of one element"),
            ("Group.as(A)", 9, "a cast or a condition with no element before it"),
            ("Group.where(a='b')", 6, "a cast or a condition with no element before it"),
            ("Group.value.exists()", 20, "the end where `exists()` only in the form"),
            ("Group.value.exists() and Group.other != false", 21, "`and` where `exists()` only in the form"),
            ("Group.value.exists() and Group.value != true", 40, "`true` where `exists()` only in the form"),
            ("Group.value + 1", 12, "`+` where `.`, `|`, `as` or the end is expected"),
            ("Group.value | Gruop.name", 14, "`Gruop` is no type of this FHIR version"),
            ("%context.value", 1, "`context` where `%resource`, and no other variable is expected"),
            ("Group.name.where(use='off", 21, "a quote is left open"),
            ("Group.\u{e9}", 6, "`…` where an element"),
        ] {
            let error = branches(expression, start_at("Group")).unwrap_err();
            let shown = error.to_string();
            assert_eq!(error.position(), position, "{expression}: {shown}");
            assert!(shown.contains(text), "{expression}: {shown}");
        }
        let deep = format!("{}Group.value{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(*branches(&deep, start_at("Group")).unwrap_err().problem(), ExpressionProblem::TooDeep);
    }

    fn start_at(resource_type: &str) -> impl Fn(&str) -> Start {
        move |name| match name {
            _ if name == resource_type => Start::Here,
            "Gruop" => Start::Nowhere,
            _ => Start::Elsewhere,
        }
    }

    fn read(expression: &str, resource_type: &str) -> Vec<String> {
        branches(expression, start_at(resource_type)).unwrap().iter().map(show).collect()
    }

    fn show(branch: &Branch<'_>) -> String {
        let elements: Vec<String> = branch
            .elements
            .iter()
            .map(|element| {
                let cast = element.cast.map_or_else(String::new, |cast| format!("({})", cast.text));
                let filter = element.filter.as_ref().map_or_else(String::new, Filter::to_string);
                format!("{}{cast}{filter}", element.name.text)
            })
            .collect();
        let path = elements.join(".");
        match branch.resolves_to {
            Some(target) => format!("{path} -> {}", target.text),
            None => path,
        }
    }
}
