//! From one value of the parameter to its queries, each decoded as far as the kick-off request had encoded it. All that
//! the editions disagree on is here.

use std::borrow::Cow;

use super::{
    TypeFilterSource,
    error::{TypeFilterError, TypeFilterErrorKind},
    percent,
};
use crate::{Edition, ResourceType, definitions::Definitions};

/// The queries in one value, at least one.
///
/// - 1.0 and 2.0: a list, cut before it is decoded (BD-TF-04).
/// - 3.0: one query, whatever commas it holds (BD-TF-06).
/// - 4.0 ballot: one query, and a list is an error (BD-TF-24).
pub(super) fn queries<'a>(
    source: TypeFilterSource<'a>,
    edition: Edition,
    definitions: &Definitions<'_>,
) -> Vec<Result<Cow<'a, str>, TypeFilterError>> {
    match edition {
        Edition::Stu1 | Edition::Stu2 => {
            cut(source, definitions).into_iter().map(|query| decoded(query, definitions)).collect()
        }
        Edition::Stu3 => vec![decoded(source, definitions)],
        Edition::Stu4Ballot => vec![decoded(source, definitions).and_then(|text| single(text, definitions))],
    }
}

/// Cuts a list into its queries; the encoding of the source stays on them.
fn cut<'a>(source: TypeFilterSource<'a>, definitions: &Definitions<'_>) -> Vec<TypeFilterSource<'a>> {
    let text = source.text();
    let mut queries = Vec::new();
    let mut start = 0;
    for separator in separators(source, definitions) {
        queries.extend(text.get(start..separator).map(|query| source.with(query)));
        start = separator + 1;
    }
    queries.extend(text.get(start..).map(|query| source.with(query)));
    queries
}

fn decoded<'a>(source: TypeFilterSource<'a>, definitions: &Definitions<'_>) -> Result<Cow<'a, str>, TypeFilterError> {
    match source {
        TypeFilterSource::Get(raw) => percent::decode(raw).map_err(|error| {
            let error = TypeFilterError::from(error);
            match leading_type(source, definitions) {
                Some(resource_type) => error.of_type(&resource_type),
                None => error,
            }
        }),
        TypeFilterSource::Post(text) => Ok(Cow::Borrowed(text)),
    }
}

fn single<'a>(text: Cow<'a, str>, definitions: &Definitions<'_>) -> Result<Cow<'a, str>, TypeFilterError> {
    let separator = separators(TypeFilterSource::Post(&text), definitions).next();
    match separator {
        Some(position) => Err(TypeFilterError::new(TypeFilterErrorKind::List, position)),
        None => Ok(text),
    }
}

/// Where the commas between queries are: not escaped, and before a known resource type and `?`. A comma that is encoded
/// in the source is none.
fn separators<'a>(source: TypeFilterSource<'a>, definitions: &Definitions<'_>) -> impl Iterator<Item = usize> {
    let text = source.text();
    text.match_indices(',').map(|(comma, _)| comma).filter(move |&comma| {
        let (before, after) = text.split_at_checked(comma).unwrap_or_default();
        // Only up to the next comma, so that a list costs the same for each of its bytes.
        let part = after.split(',').nth(1).unwrap_or_default();
        leading_type(source.with(part), definitions).is_some() && !ends_in_escape(source.with(before))
    })
}

/// The resource type that the text of a query starts with, if it is known and a `?` follows.
fn leading_type(source: TypeFilterSource<'_>, definitions: &Definitions<'_>) -> Option<ResourceType> {
    match source {
        TypeFilterSource::Get(raw) => {
            let end = ["?", "%3F", "%3f"].into_iter().filter_map(|mark| raw.find(mark)).min()?;
            definitions.resource_type(&percent::decode(raw.get(..end)?).ok()?)
        }
        TypeFilterSource::Post(text) => definitions.resource_type(text.split_once('?')?.0),
    }
}

/// Whether the text ends in a backslash that escapes what comes next: in an odd number of them, however often each will
/// yet be decoded.
fn ends_in_escape(source: TypeFilterSource<'_>) -> bool {
    let spellings: &[&str] = match source {
        TypeFilterSource::Get(_) => &["\\", "%5C", "%5c", "%255C", "%255c"],
        TypeFilterSource::Post(_) => &["\\", "%5C", "%5c"],
    };
    let mut text = source.text();
    let mut escape = false;
    while let Some(rest) = spellings.iter().find_map(|spelling| text.strip_suffix(spelling)) {
        text = rest;
        escape = !escape;
    }
    escape
}

impl<'a> TypeFilterSource<'a> {
    /// Another text that came the same way.
    fn with<'b>(self, text: &'b str) -> TypeFilterSource<'b> {
        match self {
            TypeFilterSource::Get(_) => TypeFilterSource::Get(text),
            TypeFilterSource::Post(_) => TypeFilterSource::Post(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_only_at_a_comma_before_a_known_type_and_question_mark() {
        for (list, queries) in [
            ("", &[""][..]),
            ("Patient?a=1,Group?b=2", &["Patient?a=1", "Group?b=2"]),
            ("Patient?a=1,2,Group?b=2,3", &["Patient?a=1,2", "Group?b=2,3"]),
            ("Patient,Group?b=2", &["Patient", "Group?b=2"]),
            ("Patient?a=1,Group", &["Patient?a=1,Group"]),
            ("Patient?a=1,Patients?b=2", &["Patient?a=1,Patients?b=2"]),
            ("Patient?a=1,patient?b=2", &["Patient?a=1,patient?b=2"]),
            ("Patient?a=1,,Group?b=2", &["Patient?a=1,", "Group?b=2"]),
            (",Group?b=2", &["", "Group?b=2"]),
            (r"Patient?a=\,Group?b=2", &[r"Patient?a=\,Group?b=2"]),
            (r"Patient?a=\\,Group?b=2", &[r"Patient?a=\\", "Group?b=2"]),
            ("Patient?a=%5C,Group?b=2", &["Patient?a=%5C,Group?b=2"]),
            (r"Patient?a=%5c\,Group?b=2", &[r"Patient?a=%5c\", "Group?b=2"]),
        ] {
            for source in [TypeFilterSource::Get(list), TypeFilterSource::Post(list)] {
                let cut: Vec<_> = cut(source, &Definitions::R4).into_iter().map(TypeFilterSource::text).collect();
                assert_eq!(cut, queries, "{list}");
            }
        }
    }

    #[test]
    fn the_start_of_a_query_may_be_encoded_in_a_get_only() {
        let list = "Patient%3Fa%3D1,%47roup%3fb%3D2%2CPatient%3Fc";
        let cut = |source| cut(source, &Definitions::R4).into_iter().map(TypeFilterSource::text).collect::<Vec<_>>();
        assert_eq!(cut(TypeFilterSource::Get(list)), ["Patient%3Fa%3D1", "%47roup%3fb%3D2%2CPatient%3Fc"]);
        assert_eq!(cut(TypeFilterSource::Post(list)), [list]);
    }

    #[test]
    fn a_query_that_does_not_decode_spoils_no_other_and_still_tells_its_type() {
        let results =
            queries(TypeFilterSource::Get("Patient?name=100%,Group%3Fx%FF,Device?y"), Edition::Stu2, &Definitions::R4);
        let types: Vec<_> = results
            .iter()
            .map(|result| result.as_ref().map_err(|error| error.resource_type().unwrap().as_str()))
            .collect();
        assert_eq!(types, [Err("Patient"), Err("Group"), Ok(&Cow::Borrowed("Device?y"))]);
    }
}
