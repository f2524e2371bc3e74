//! What may stand at the root of a resource.

/// An element at the root of a resource, as FHIR defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootElement<'d> {
    name: &'d str,
    is_choice: bool,
    is_essential: bool,
}

impl<'d> RootElement<'d> {
    /// Reads a row of the table without its key: the essential elements, then the others.
    pub(crate) fn read(row: &'d str) -> impl Iterator<Item = Self> + use<'d> {
        let (essential, other) = row.split_once('\t').unwrap_or((row, ""));
        let list = |column: &'d str, is_essential| {
            let names = column.split(',').filter(|name| !name.is_empty());
            names.map(move |name| match name.strip_suffix("[x]") {
                Some(name) => Self { name, is_choice: true, is_essential },
                None => Self { name, is_choice: false, is_essential },
            })
        };
        list(essential, true).chain(list(other, false))
    }

    /// Its name; that of a choice element without type, `value`.
    pub fn name(&self) -> &'d str {
        self.name
    }

    /// Whether its JSON property ends in one of several types, as `valueQuantity` does.
    pub fn is_choice(&self) -> bool {
        self.is_choice
    }

    /// Whether the rest could not be read without it, or would mean something else: it is mandatory, or a modifier.
    pub fn is_essential(&self) -> bool {
        self.is_essential
    }

    /// Whether a JSON property holds its value, or with a `_` before the name what belongs to its value.
    pub(super) fn has_property(&self, property: &str) -> bool {
        let property = property.strip_prefix('_').unwrap_or(property);
        match property.strip_prefix(self.name) {
            Some(rest) if self.is_choice => rest.starts_with(|first: char| first.is_ascii_uppercase()),
            Some(rest) => rest.is_empty(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_the_essential_ones_and_the_others() {
        let read =
            |row| RootElement::read(row).map(|e| (e.name(), e.is_choice(), e.is_essential())).collect::<Vec<_>>();
        assert_eq!(
            read("status,medication[x]\tnote"),
            [("status", false, true), ("medication", true, true), ("note", false, false)]
        );
        assert_eq!(read("\tid"), [("id", false, false)]);
        assert_eq!(read(""), []);
    }

    /// BD-ELEM-08.
    #[test]
    fn a_property_is_told_by_its_name() {
        let [name, value] = [("name", false), ("value", true)].map(|(name, is_choice)| RootElement {
            name,
            is_choice,
            is_essential: false,
        });
        for (element, property, expected) in [
            (name, "name", true),
            (name, "_name", true),
            (name, "nameX", false),
            (name, "__name", false),
            (name, "", false),
            (value, "valueQuantity", true),
            (value, "_valueString", true),
            (value, "value", false),
            (value, "values", false),
            (value, "interpretation", false),
        ] {
            assert_eq!(element.has_property(property), expected, "{property}");
        }
    }
}
