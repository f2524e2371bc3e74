//! The codes of ValueSet resources, as far as they are written out: an expansion, or a definition that lists its concepts.
//! What takes a terminology server (filters, whole code systems, other value sets) is not known here.

use serde::Deserialize;

/// As much of a ValueSet as it takes.
#[derive(Deserialize)]
pub(super) struct ValueSet {
    url: Option<String>,
    version: Option<String>,
    expansion: Option<Expansion>,
    compose: Option<Compose>,
}

#[derive(Deserialize)]
struct Expansion {
    total: Option<u64>,
    #[serde(default)]
    contains: Vec<Contained>,
}

#[derive(Deserialize)]
struct Contained {
    system: Option<String>,
    code: Option<String>,
    #[serde(default, rename = "abstract")]
    is_abstract: bool,
    #[serde(default)]
    contains: Vec<Contained>,
}

#[derive(Deserialize)]
struct Compose {
    #[serde(default)]
    include: Vec<Include>,
    #[serde(default)]
    exclude: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Include {
    system: Option<String>,
    #[serde(default)]
    concept: Vec<Concept>,
    #[serde(default)]
    filter: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    value_set: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Concept {
    code: String,
}

impl ValueSet {
    /// Reads a line; nothing if it has another shape.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Whether a canonical, `url` or `url|version`, is its own.
    pub(super) fn is(&self, canonical: &str) -> bool {
        match canonical.split_once('|') {
            None => self.url.as_deref() == Some(canonical),
            Some((url, version)) => self.url.as_deref() == Some(url) && self.version.as_deref() == Some(version),
        }
    }

    /// All its codes, each as `system|code`; nothing if they are not all written out.
    pub(super) fn codes(&self) -> Option<Vec<String>> {
        match (&self.expansion, &self.compose) {
            (Some(expansion), _) => expansion.codes(),
            (None, Some(compose)) => compose.codes(),
            (None, None) => None,
        }
    }
}

impl Expansion {
    fn codes(&self) -> Option<Vec<String>> {
        let (mut codes, mut entries) = (Vec::new(), 0_u64);
        let mut open: Vec<&Contained> = self.contains.iter().collect();
        while let Some(contained) = open.pop() {
            entries += 1;
            open.extend(&contained.contains);
            // A heading stands for no code of its own.
            if !contained.is_abstract {
                codes.push(coding(contained.system.as_ref()?, contained.code.as_ref()?)?);
            }
        }
        // One that says that there are more is a page of an expansion.
        self.total.is_none_or(|total| total <= entries).then_some(codes)
    }
}

impl Compose {
    fn codes(&self) -> Option<Vec<String>> {
        if !self.exclude.is_empty() || self.include.is_empty() {
            return None;
        }
        let mut codes = Vec::new();
        for include in &self.include {
            let is_listed = include.filter.is_empty() && include.value_set.is_empty() && !include.concept.is_empty();
            let system = include.system.as_ref().filter(|_| is_listed)?;
            for concept in &include.concept {
                codes.push(coding(system, &concept.code)?);
            }
        }
        Some(codes)
    }
}

fn coding(system: &str, code: &str) -> Option<String> {
    let is_one_line = |text: &str| !text.is_empty() && !text.contains(['\n', '\r']);
    (is_one_line(system) && is_one_line(code) && !system.contains('|')).then(|| format!("{system}|{code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(members: &str) -> Option<Vec<String>> {
        let line = format!(r#"{{"resourceType":"ValueSet","id":"v","url":"http://v","version":"2",{members}}}"#);
        ValueSet::read(line.as_bytes()).unwrap().codes()
    }

    #[test]
    fn what_is_written_out_is_known() {
        let expansion = r#""expansion":{"total":3,"contains":[{"system":"http://s","code":"a"},
            {"abstract":true,"display":"more","contains":[{"system":"http://s","code":"b"}]}]}"#;
        assert_eq!(codes(expansion), Some(vec!["http://s|b".into(), "http://s|a".into()]));
        let listed = r#""compose":{"include":[{"system":"http://s","concept":[{"code":"a"},{"code":"b"}]},
            {"system":"http://t","concept":[{"code":"c"}]}]}"#;
        assert_eq!(codes(listed), Some(vec!["http://s|a".into(), "http://s|b".into(), "http://t|c".into()]));
        assert_eq!(codes(r#""expansion":{"contains":[]}"#), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_wholly_written_out_is_not_known() {
        for members in [
            r#""status":"active""#,
            r#""compose":{"include":[]}"#,
            r#""compose":{"include":[{"system":"http://s"}]}"#,
            r#""compose":{"include":[{"system":"http://s","filter":[{"property":"p","op":"=","value":"v"}]}]}"#,
            r#""compose":{"include":[{"valueSet":["http://w"]}]}"#,
            r#""compose":{"include":[{"system":"http://s","concept":[{"code":"a"}]}],"exclude":[{"system":"http://s"}]}"#,
            r#""expansion":{"total":9,"contains":[{"system":"http://s","code":"a"}]}"#,
            r#""expansion":{"contains":[{"code":"a"}]}"#,
            r#""expansion":{"contains":[{"system":"http://s","code":"a\nb"}]}"#,
        ] {
            assert_eq!(codes(members), None, "{members}");
        }
    }

    #[test]
    fn a_version_is_its_own_or_not_asked_for() {
        let value_set = ValueSet::read(br#"{"url":"http://v","version":"2"}"#).unwrap();
        assert!(value_set.is("http://v") && value_set.is("http://v|2"));
        assert!(!value_set.is("http://v|1") && !value_set.is("http://w") && !value_set.is(""));
    }
}
