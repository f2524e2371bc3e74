//! What is wrong with a query, shown under the query itself.
//!
//! The engine's text names a byte of a query. Here the same core reads the flags once more: the error that says the same
//! knows the place, so that no text is taken apart.

use ehi_core::{
    Definitions, Timestamp,
    type_filter::{self, Filter, FilterContext, TypeFilterError, TypeFilterSource},
};

use super::selection::Selection;

/// The text, and below it the query with a caret where the text says that it is wrong.
pub(super) fn pointed(text: &str, selection: &Selection) -> String {
    let errors = errors(selection);
    let place = errors.iter().find(|error| error.to_string() == text).filter(|error| error.query() == 0);
    let query = place.and_then(|error| Some((selection.type_filters().get(error.value())?, error.position())));
    match query {
        Some((query, position)) => format!("{text}\n{}", caret(query, position)),
        None => text.to_owned(),
    }
}

fn errors(selection: &Selection) -> Vec<TypeFilterError> {
    let definitions = Definitions::R4;
    let sources: Vec<_> = selection.type_filters().iter().map(|query| TypeFilterSource::Post(query)).collect();
    let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
    let mut errors = Vec::new();
    for query in type_filter::parse_each(&sources, selection.edition(), &definitions) {
        match query {
            Ok(query) => {
                errors.extend(Filter::compile(&[query], &definitions, &context).err().into_iter().flatten());
            }
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// As much of the query as fits a line, and a caret under that byte.
fn caret(query: &str, position: usize) -> String {
    let shown = |text: &str| text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<Vec<_>>();
    let before = shown(query.get(..position).unwrap_or(query));
    let after = shown(query.get(position..).unwrap_or_default());
    let (dots, before) = match before.len().checked_sub(SHOWN_BEFORE) {
        Some(left_out) if left_out > 0 => ("...", before.get(left_out..).unwrap_or_default()),
        _ => ("", before.as_slice()),
    };
    let rest = if after.len() > SHOWN_AFTER { "..." } else { "" };
    let line: String = before.iter().chain(after.iter().take(SHOWN_AFTER)).collect();
    let blank = " ".repeat(dots.len() + before.len());
    format!("    {dots}{line}{rest}\n    {blank}^")
}

/// Together, with the indent and the dots, less than 100 columns.
const SHOWN_BEFORE: usize = 50;
const SHOWN_AFTER: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_byte() {
        assert_eq!(caret("Patient?nmae=x", 8), "    Patient?nmae=x\n            ^");
        assert_eq!(caret("Patient?", 8), "    Patient?\n            ^");
        assert_eq!(caret("é\té", 3), "    é\u{fffd}é\n      ^", "columns, not bytes");
        assert_eq!(caret("é", 1), "    é\n     ^", "inside a character: behind it all");
    }

    #[test]
    fn a_long_query_is_shown_around_the_place() {
        let text = caret(&format!("{}!{}", "a".repeat(500), "b".repeat(500)), 500);
        let (line, below) = text.split_once('\n').unwrap();
        assert!(line.len() < 100 && line.contains("a!b") && line.starts_with("    ...a") && line.ends_with("b..."));
        assert_eq!(line.find('!'), below.find('^'));
    }
}
