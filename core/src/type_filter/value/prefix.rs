//! The two letters before a date, a number or a quantity (FHIR R4 search, 3.1.1.4.7).

/// How the searched value relates to the one in the resource.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::type_filter) enum Prefix {
    /// `ap`
    Approximately,
    /// `eb`
    EndsBefore,
    /// `eq`, and no prefix at all
    Equal,
    /// `ge`
    GreaterOrEqual,
    /// `gt`
    GreaterThan,
    /// `le`
    LessOrEqual,
    /// `lt`
    LessThan,
    /// `ne`
    NotEqual,
    /// `sa`
    StartsAfter,
}

impl Prefix {
    /// The prefix of a value, and the value behind it.
    pub(in crate::type_filter) fn split(text: &str) -> (Self, &str) {
        let split = text.split_at_checked(2).and_then(|(letters, rest)| Some((Self::from_letters(letters)?, rest)));
        split.unwrap_or((Self::Equal, text))
    }

    fn from_letters(letters: &str) -> Option<Self> {
        Some(match letters {
            "ap" => Self::Approximately,
            "eb" => Self::EndsBefore,
            "eq" => Self::Equal,
            "ge" => Self::GreaterOrEqual,
            "gt" => Self::GreaterThan,
            "le" => Self::LessOrEqual,
            "lt" => Self::LessThan,
            "ne" => Self::NotEqual,
            "sa" => Self::StartsAfter,
            _ => return None,
        })
    }
}
