//! What a mistyped name was meant to be.

/// The name nearest to a mistyped one, if one is near enough to be meant: about a third of the letters may be wrong.
/// A letter too many, too few, wrong, or two neighbours swapped count one each; case does not count. Of names equally
/// near the first wins.
pub fn nearest<'a>(code: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = letters(code);
    if typed.len() > LETTERS_MAX {
        return None;
    }
    let allowed = (typed.len() / 3).clamp(1, DISTANCE_MAX);
    among
        .map(|name| (name, letters(name)))
        .filter(|(_, letters)| letters.len().abs_diff(typed.len()) <= allowed)
        .map(|(name, letters)| (distance(&typed, &letters), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn letters(text: &str) -> Vec<char> {
    text.chars().take(LETTERS_MAX + 1).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The edit distance with swaps of neighbours (optimal string alignment), row by row.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, &letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&above, column) + usize::from(letter != other);
            let added = at(&current, column) + 1;
            let dropped = at(&above, column + 1) + 1;
            let is_swap =
                row > 0 && column > 0 && from.get(row - 1) == Some(&other) && to.get(column - 1) == Some(&letter);
            let swapped = if is_swap { at(&before, column - 1) + 1 } else { usize::MAX };
            current.push(replaced.min(added).min(dropped).min(swapped));
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

/// Longer than any name in FHIR; more is noise, and work grows with the square.
const LETTERS_MAX: usize = 64;

/// So many differences look like another name altogether.
const DISTANCE_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Definitions;

    #[test]
    fn a_near_miss_is_understood() {
        let codes = || Definitions::R4.search_codes("Observation");
        for (typed, meant) in [
            ("categroy", Some("category")),
            ("Category", Some("category")),
            ("catgory", Some("category")),
            ("valuequantity", Some("value-quantity")),
            ("_lastupdate", Some("_lastUpdated")),
            ("cod", Some("code")),
            ("xyzzy", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, codes()), meant, "{typed}");
        }
        assert_eq!(nearest(&"category".repeat(1000), codes()), None);
    }

    #[test]
    fn edits_are_counted() {
        let count = |from: &str, to: &str| distance(&letters(from), &letters(to));
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", ""), 3);
        assert_eq!(count("abc", "abc"), 0);
        assert_eq!(count("abc", "acb"), 1);
        assert_eq!(count("kitten", "sitting"), 3);
    }
}
