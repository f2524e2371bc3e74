//! Questions that one resource does not decide, and sets do: which of them a deployment answers, and which sets some
//! queries ask for.
//!
//! A set is asked for once, before the first line, and never while lines flow: a writer has no way to ask.

use serde::{Deserialize, Serialize};

use super::error::{TypeFilterError, TypeFilterErrorKind};
use crate::pass::{Collection, SetWanted};

/// Which questions of `_typeFilter` that one resource does not decide are answered with sets. What is not answered is
/// refused at kick-off, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FilterSets {
    /// `:in` and `:not-in` of a token: the embedder hands over the expansion of a ValueSet, if it knows it.
    pub value_sets: bool,
    /// Chained parameters, such as `subject:Patient.name`: found by going through the export's own data before it, once
    /// for each of their links.
    pub chains: bool,
}

/// The sets that queries ask for, each once.
#[derive(Clone, Default)]
pub(crate) struct AskedSets {
    answered: FilterSets,
    /// Whether what is not there yet is refused.
    is_closed: bool,
    value_sets: Vec<String>,
    chains: Vec<String>,
    /// What is wrong if a ValueSet is not known, by where it is first asked for.
    unknown: Vec<(String, TypeFilterError)>,
}

impl AskedSets {
    /// None so far, of those that a deployment answers.
    pub(crate) fn new(answered: FilterSets) -> Self {
        Self { answered, ..Self::default() }
    }

    /// Those that were asked for, and no others.
    pub(crate) fn only<'s>(
        value_sets: impl IntoIterator<Item = &'s String>,
        chains: impl IntoIterator<Item = &'s String>,
    ) -> Self {
        let value_sets: Vec<_> = value_sets.into_iter().cloned().collect();
        let chains: Vec<_> = chains.into_iter().cloned().collect();
        let answered = FilterSets { value_sets: !value_sets.is_empty(), chains: !chains.is_empty() };
        Self { answered, is_closed: true, value_sets, chains, unknown: Vec::new() }
    }

    /// What is answered at all.
    pub(super) fn answered(&self) -> FilterSets {
        self.answered
    }

    /// The canonicals of ValueSets, in the order in which they are asked for.
    pub(crate) fn value_sets(&self) -> &[String] {
        &self.value_sets
    }

    /// The questions of chains, each a query of the type that it is about, in the form of its text. A question that
    /// another one holds stands before it.
    pub(crate) fn chains(&self) -> &[String] {
        &self.chains
    }

    /// Each ValueSet that was asked for since the last such call, and what is wrong if it is not known.
    pub(crate) fn take_unknown(&mut self) -> Vec<(String, TypeFilterError)> {
        std::mem::take(&mut self.unknown)
    }

    /// Says of the ValueSets that `ask` asks for where that is.
    pub(super) fn locating<T>(
        &mut self,
        locate: impl Fn(TypeFilterError) -> TypeFilterError,
        ask: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = std::mem::take(&mut self.unknown);
        let answer = ask(self);
        let found = std::mem::replace(&mut self.unknown, before);
        for (url, error) in found {
            if !self.unknown.iter().any(|(known, _)| *known == url) {
                self.unknown.push((url, locate(error)));
            }
        }
        answer
    }

    /// Asks for the expansion of a ValueSet.
    pub(super) fn value_set(&mut self, url: String, position: usize) -> Result<SetWanted, TypeFilterErrorKind> {
        number(&mut self.value_sets, &url, VALUE_SETS_MAX, self.is_closed)?;
        if !self.unknown.iter().any(|(known, _)| *known == url) {
            let error = TypeFilterError::new(TypeFilterErrorKind::UnknownValueSet, position);
            self.unknown.push((url.clone(), error));
        }
        Ok(SetWanted::ValueSet(url))
    }

    /// Asks for the resources that meet a query.
    pub(super) fn chain(&mut self, query: &str) -> Result<SetWanted, TypeFilterErrorKind> {
        let number = number(&mut self.chains, query, CHAINS_MAX, self.is_closed)?;
        Ok(SetWanted::Collected(Collection::Chained(number)))
    }
}

/// The number of a text in a list, which takes it if it has it not yet and has room.
fn number(list: &mut Vec<String>, text: &str, max: usize, is_closed: bool) -> Result<u32, TypeFilterErrorKind> {
    let at = list.iter().position(|known| known == text).unwrap_or(list.len());
    if at == list.len() {
        if is_closed || at >= max {
            return Err(TypeFilterErrorKind::TooManySets);
        }
        list.push(text.to_owned());
    }
    u32::try_from(at).map_err(|_| TypeFilterErrorKind::TooManySets)
}

/// ValueSets of a kick-off: each is held in memory while the export lasts.
pub(super) const VALUE_SETS_MAX: usize = 16;

/// Links of all chains of a kick-off: each takes another pass over the data of its type.
pub(super) const CHAINS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_asked_for_once_and_there_are_so_many_at_most() {
        let mut sets = AskedSets::new(FilterSets { value_sets: true, chains: true });
        for n in 0..CHAINS_MAX {
            let wanted = SetWanted::Collected(Collection::Chained(n.try_into().unwrap()));
            for _ in 0..2 {
                assert_eq!(sets.chain(&format!("Patient?name={n}")), Ok(wanted.clone()));
            }
        }
        assert_eq!(sets.chain("Patient?name=x"), Err(TypeFilterErrorKind::TooManySets));
        for n in (0..VALUE_SETS_MAX).chain(0..2) {
            assert_eq!(sets.value_set(n.to_string(), n), Ok(SetWanted::ValueSet(n.to_string())));
        }
        assert_eq!(sets.value_set("x".into(), 0), Err(TypeFilterErrorKind::TooManySets));
        assert_eq!(sets.value_sets().len(), VALUE_SETS_MAX);
        let unknown: Vec<_> = sets.take_unknown().iter().map(|(url, error)| (url.clone(), error.position())).collect();
        assert_eq!(unknown, (0..VALUE_SETS_MAX).map(|n| (n.to_string(), n)).collect::<Vec<_>>());
        assert!(sets.take_unknown().is_empty());
    }

    #[test]
    fn a_closed_list_takes_nothing_more() {
        let mut sets = AskedSets::only(&["http://v".to_owned()], &["Patient?name=a".to_owned()]);
        assert_eq!(sets.answered(), FilterSets { value_sets: true, chains: true });
        assert!(sets.chain("Patient?name=a").is_ok() && sets.value_set("http://v".into(), 0).is_ok());
        assert!(sets.chain("Patient?name=b").is_err() && sets.value_set("http://w".into(), 0).is_err());
        assert_eq!(AskedSets::only([], []).answered(), FilterSets::default());
    }
}
