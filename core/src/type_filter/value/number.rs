//! Numbers under a prefix (FHIR R4 search, 3.1.1.4.8).

use std::ops::Bound;

use super::{Decimal, Prefix, Written};

/// A searched number.
///
/// `eq`, `ne` and `ap` know the precision that was written; the others compare the exact number.
pub(in crate::type_filter) struct NumberTest {
    prefix: Prefix,
    exact: Decimal,
    /// Half a unit of the last digit to either side, upper end excluded.
    implicit: (Decimal, Decimal),
    /// A tenth to either side, both ends included.
    tenth: (Decimal, Decimal),
    scientific: bool,
}

/// What a resource says: all numbers between two bounds, or one number.
pub(in crate::type_filter) struct Span {
    /// The lower end.
    pub(in crate::type_filter) low: Bound<Decimal>,
    /// The upper end.
    pub(in crate::type_filter) high: Bound<Decimal>,
}

impl Span {
    /// One number.
    pub(in crate::type_filter) fn point(value: Decimal) -> Self {
        Self { low: Bound::Included(value.clone()), high: Bound::Included(value) }
    }
}

impl NumberTest {
    /// Reads a number that may have a prefix.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        let (prefix, number) = Prefix::split(text);
        let written = Written::parse(number)?;
        Some(Self {
            prefix,
            exact: written.value(),
            implicit: written.implicit_range(),
            tenth: written.tenth_around(),
            scientific: written.is_scientific(),
        })
    }

    /// A whole number of the resource is exactly that, unless the search was written with an exponent.
    pub(in crate::type_filter) fn matches_integer(&self, integer: Decimal) -> bool {
        match self.prefix {
            Prefix::Equal if !self.scientific => integer == self.exact,
            Prefix::NotEqual if !self.scientific => integer != self.exact,
            _ => self.matches(&Span::point(integer)),
        }
    }

    pub(in crate::type_filter) fn matches(&self, span: &Span) -> bool {
        match self.prefix {
            Prefix::Approximately => self.is_equal(span) || self.is_near(span),
            Prefix::EndsBefore => ends_below(span, &self.exact),
            Prefix::Equal => self.is_equal(span),
            Prefix::GreaterOrEqual => reaches_above(span, &self.exact) || touches_high(span, &self.exact),
            Prefix::GreaterThan => reaches_above(span, &self.exact),
            Prefix::LessOrEqual => reaches_below(span, &self.exact) || touches_low(span, &self.exact),
            Prefix::LessThan => reaches_below(span, &self.exact),
            Prefix::NotEqual => !self.is_equal(span),
            Prefix::StartsAfter => starts_above(span, &self.exact),
        }
    }

    /// All of the span lies in the implicit range.
    fn is_equal(&self, span: &Span) -> bool {
        let (from, to) = &self.implicit;
        let starts_within = matches!(&span.low, Bound::Included(low) | Bound::Excluded(low) if low >= from);
        starts_within && ends_below(span, to)
    }

    /// Some of the span lies within a tenth.
    fn is_near(&self, span: &Span) -> bool {
        let (from, to) = &self.tenth;
        !ends_below(span, from) && !starts_above(span, to)
    }
}

fn reaches_above(span: &Span, value: &Decimal) -> bool {
    match &span.high {
        Bound::Included(high) | Bound::Excluded(high) => high > value,
        Bound::Unbounded => true,
    }
}

fn reaches_below(span: &Span, value: &Decimal) -> bool {
    match &span.low {
        Bound::Included(low) | Bound::Excluded(low) => low < value,
        Bound::Unbounded => true,
    }
}

fn touches_high(span: &Span, value: &Decimal) -> bool {
    matches!(&span.high, Bound::Included(high) if high == value)
}

fn touches_low(span: &Span, value: &Decimal) -> bool {
    matches!(&span.low, Bound::Included(low) if low == value)
}

fn ends_below(span: &Span, value: &Decimal) -> bool {
    match &span.high {
        Bound::Included(high) => high < value,
        Bound::Excluded(high) => high <= value,
        Bound::Unbounded => false,
    }
}

fn starts_above(span: &Span, value: &Decimal) -> bool {
    match &span.low {
        Bound::Included(low) => low > value,
        Bound::Excluded(low) => low >= value,
        Bound::Unbounded => false,
    }
}
