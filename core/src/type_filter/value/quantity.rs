//! Quantities: a number, perhaps with its unit (FHIR R4 search, 3.1.1.4.13).

use super::{NumberTest, split, unescaped};

/// A searched quantity.
pub(in crate::type_filter) struct QuantityTest {
    pub(in crate::type_filter) number: NumberTest,
    pub(in crate::type_filter) unit: Unit,
}

/// The unit that a quantity must have. Units are compared as they are written, never converted.
pub(in crate::type_filter) enum Unit {
    /// `5.4`
    Any,
    /// `5.4|system|code`
    Coded {
        /// The system, exactly.
        system: String,
        /// The code, exactly.
        code: String,
    },
    /// `5.4||code`: as the code or as the unit that people read.
    Named(String),
    /// `5.4|system|`
    OfSystem(String),
}

impl QuantityTest {
    /// Reads `number`, `number|system|code`, `number||code` or `number|system|`.
    pub(in crate::type_filter) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = split(text, '|').into_iter().map(unescaped).collect();
        let (number, unit) = match parts.as_slice() {
            [number] => (number, Unit::Any),
            [number, system, code] => (number, Unit::new(system, code)?),
            _ => return None,
        };
        Some(Self { number: NumberTest::parse(number)?, unit })
    }
}

impl Unit {
    fn new(system: &str, code: &str) -> Option<Self> {
        match (system, code) {
            ("", "") => None,
            ("", code) => Some(Self::Named(code.to_owned())),
            (system, "") => Some(Self::OfSystem(system.to_owned())),
            (system, code) => Some(Self::Coded { system: system.to_owned(), code: code.to_owned() }),
        }
    }
}
