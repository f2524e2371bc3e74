//! JSON that is text from the start, so that fields keep their order and decimals their trailing zeros.

/// What can stand as a value.
pub(super) trait Value {
    /// Appends the JSON of the value.
    fn append_to(&self, text: &mut String);
}

/// An object under construction: fields in the order in which they are given.
#[derive(Default)]
pub(super) struct Object {
    /// The object without its closing brace, or nothing while it has no field.
    text: String,
}

impl Object {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub(super) fn field(mut self, name: &str, value: impl Value) -> Self {
        self.name(name);
        value.append_to(&mut self.text);
        self
    }

    /// Adds a field if there is a value for it.
    pub(super) fn maybe(self, name: &str, value: Option<impl Value>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// Adds an array, or no field if there are no values: FHIR knows no empty array.
    pub(super) fn list<V: Value>(mut self, name: &str, values: impl IntoIterator<Item = V>) -> Self {
        let mut values = values.into_iter();
        let Some(first) = values.next() else {
            return self;
        };
        self.name(name);
        self.text.push('[');
        first.append_to(&mut self.text);
        for value in values {
            self.text.push(',');
            value.append_to(&mut self.text);
        }
        self.text.push(']');
        self
    }

    /// Adds all fields of another object.
    pub(super) fn and(mut self, other: Self) -> Self {
        if self.text.is_empty() {
            return other;
        }
        if let Some(fields) = other.text.strip_prefix('{') {
            self.text.push(',');
            self.text.push_str(fields);
        }
        self
    }

    /// The object's text as far as it goes, without the closing brace, for one whose last array is too long to hold.
    pub(super) fn into_unclosed_text(self) -> String {
        self.text
    }

    /// The whole object's text.
    pub(super) fn into_text(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        name.append_to(&mut self.text);
        self.text.push(':');
    }
}

impl Value for Object {
    fn append_to(&self, text: &mut String) {
        text.push_str(&self.text);
        text.push('}');
    }
}

impl Value for str {
    fn append_to(&self, text: &mut String) {
        text.push('"');
        for letter in self.chars() {
            match letter {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
                plain => text.push(plain),
            }
        }
        text.push('"');
    }
}

impl Value for String {
    fn append_to(&self, text: &mut String) {
        self.as_str().append_to(text);
    }
}

impl Value for bool {
    fn append_to(&self, text: &mut String) {
        text.push_str(if *self { "true" } else { "false" });
    }
}

impl Value for u32 {
    fn append_to(&self, text: &mut String) {
        text.push_str(&self.to_string());
    }
}

impl Value for usize {
    fn append_to(&self, text: &mut String) {
        text.push_str(&self.to_string());
    }
}

impl<V: Value + ?Sized> Value for &V {
    fn append_to(&self, text: &mut String) {
        (**self).append_to(text);
    }
}

/// A decimal as it is written: `units` with the last `scale` digits behind the point. `1.10` is not `1.1` to FHIR.
#[derive(Clone, Copy)]
pub(super) struct Decimal {
    pub(super) units: i64,
    pub(super) scale: usize,
}

impl Decimal {
    /// A whole number.
    pub(super) const fn whole(units: i64) -> Self {
        Self { units, scale: 0 }
    }

    /// The same number, written with one more zero.
    pub(super) const fn with_trailing_zero(self) -> Self {
        Self { units: self.units * 10, scale: self.scale + 1 }
    }
}

impl Value for Decimal {
    fn append_to(&self, text: &mut String) {
        if self.units < 0 {
            text.push('-');
        }
        // At least one digit stands before the point.
        let digits = format!("{:0width$}", self.units.unsigned_abs(), width = self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        text.push_str(whole);
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Value) -> String {
        let mut text = String::new();
        value.append_to(&mut text);
        text
    }

    #[test]
    fn decimals_keep_their_digits() {
        let written = [(110, 2), (-7106, 2), (5, 0), (5, 3), (0, 1), (-5, 2)]
            .map(|(units, scale)| text(Decimal { units, scale }));
        assert_eq!(written, ["1.10", "-71.06", "5", "0.005", "0.0", "-0.05"]);
        assert_eq!(text(Decimal { units: 11, scale: 1 }.with_trailing_zero()), "1.10");
    }

    #[test]
    fn strings_are_escaped_no_more_than_needed() {
        assert_eq!(text("a\"b\\c\n\t\r\u{1}é🌻"), "\"a\\\"b\\\\c\\n\\t\\r\\u0001é🌻\"");
    }

    #[test]
    fn fields_keep_their_order_and_empty_lists_leave_no_trace() {
        let object = Object::new()
            .field("z", true)
            .list("none", Vec::<u32>::new())
            .maybe("absent", None::<u32>)
            .list("a", [1_u32, 2])
            .field("o", Object::new().field("k", "v"));
        assert_eq!(object.into_text(), r#"{"z":true,"a":[1,2],"o":{"k":"v"}}"#);
    }
}
