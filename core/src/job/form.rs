//! The answers of a patient's form as a browser sends them (`application/x-www-form-urlencoded`).

use std::collections::BTreeSet;

use super::{FormAnswers, JobMisuse};
use crate::http::{Target, decode_component};

impl FormAnswers {
    /// Reads the fields `types`, `withheldLabels` and `typeFilters`, each as often as there are values.
    ///
    /// A browser sends nothing of boxes that are not checked. So that no type chosen is not taken for every type, a form that
    /// lets patients choose has an empty field `types` besides. Another field is refused: it may be one that narrows.
    pub fn from_form(body: &[u8]) -> Result<Self, JobMisuse> {
        let query = std::str::from_utf8(body).map_err(|_| JobMisuse::Answers)?;
        let mut answers = Self::default();
        for (name, value) in (Target { path: "", query }).raw_parameters() {
            let decoded = |text: &str| decode_component(&text.replace('+', " ")).ok_or(JobMisuse::Answers);
            let (name, value) = (decoded(name)?, decoded(value)?);
            match (name.as_str(), value.is_empty()) {
                ("types", true) => drop(answers.types.get_or_insert_with(BTreeSet::new)),
                ("types", false) => drop(answers.types.get_or_insert_with(BTreeSet::new).insert(value)),
                ("withheldLabels" | "typeFilters", true) => {}
                ("withheldLabels", false) => drop(answers.withheld_labels.insert(value)),
                ("typeFilters", false) => answers.type_filters.push(value),
                _ => return Err(JobMisuse::Answers),
            }
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn fields_are_read_as_a_browser_writes_them() {
        let body = b"types=&types=Patient&types=Observation&withheldLabels=http%3A%2F%2Fs%7CPSY&withheldLabels=\
            &typeFilters=Observation%3Fdate%3Dge2020%26code%3Aa%2Bb=c+d";
        let expected = FormAnswers {
            types: Some(set(&["Patient", "Observation"])),
            withheld_labels: set(&["http://s|PSY"]),
            type_filters: vec!["Observation?date=ge2020&code:a+b=c d".to_owned()],
        };
        assert!(FormAnswers::from_form(body).is_ok_and(|answers| answers == expected));
    }

    #[test]
    fn nothing_checked_is_nothing_and_no_field_is_everything() {
        let types = |body: &[u8]| FormAnswers::from_form(body).unwrap().types;
        assert_eq!([types(b"types="), types(b"types"), types(b"")], [Some(set(&[])), Some(set(&[])), None]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in
            [&b"surprise=1"[..], b"types=%", b"types=%ff", b"types=\xff", b"Types=Patient", b"=Patient", b"answers={}"]
        {
            assert_eq!(FormAnswers::from_form(wrong), Err(JobMisuse::Answers), "{wrong:?}");
        }
    }
}
