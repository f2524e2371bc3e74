//! One SMART scope, as it is written: v1 `system/*.read`, v2 `system/Observation.rs?category=laboratory`, and the scopes of
//! operations, `patient/$ehi-export`, which neither grammar has.
//!
//! Here is the grammar only; what a scope grants to whom is said in [`TypeGrant`](super::TypeGrant).

/// A scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'s> {
    /// Of resources (SM-SCP-01, SM-SCP-02).
    Resources(ResourceScope<'s>),
    /// Of an operation, which no scope of resources implies (EHI-AUTH-06, EHI-AUTH-07).
    Operation {
        /// In which context.
        context: Context,
        /// Its name, without the `$`.
        name: &'s str,
    },
    /// Of something else, or not understood: it grants no data.
    Other,
}

/// A scope of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceScope<'s> {
    /// In which context.
    pub context: Context,
    /// Of which type; `None` is `*`, all of them.
    pub resource_type: Option<&'s str>,
    /// What may be done.
    pub permissions: Permissions,
    /// Which of the resources, as a search; never empty.
    pub query: Option<&'s str>,
}

/// Whose data a scope is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// `patient/`: the patient in context.
    Patient,
    /// `user/`: what the user may have.
    User,
    /// `system/`: what the client may have by itself.
    System,
}

/// A subset of create, read, update, delete and search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u8);

impl<'s> Scope<'s> {
    /// Reads a scope.
    pub fn parse(text: &'s str) -> Self {
        let Some((context, rest)) = text.split_once('/') else { return Self::Other };
        let Some(context) = Context::parse(context) else { return Self::Other };
        if let Some(name) = operation(rest) {
            return Self::Operation { context, name };
        }
        resources(context, rest).map_or(Self::Other, Self::Resources)
    }
}

impl Context {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "patient" => Some(Self::Patient),
            "user" => Some(Self::User),
            "system" => Some(Self::System),
            _ => None,
        }
    }
}

impl Permissions {
    /// Whether an export is permitted, which reads what it has searched for (SM-SCP-04).
    pub fn include_export(self) -> bool {
        self.include('r') && self.include('s')
    }

    /// Whether that letter of `cruds` is among them.
    pub fn include(self, letter: char) -> bool {
        LETTERS.find(letter).is_some_and(|place| self.0 >> place & 1 == 1)
    }

    /// The words of v1 are whole words, never letters (SM-SCP-03).
    fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Self::of_letters("rs"),
            "write" => Self::of_letters("cud"),
            "*" => Self::of_letters(LETTERS),
            letters => Self::of_letters(letters),
        }
    }

    /// Some of `cruds`, in that order, as v2 requires.
    fn of_letters(letters: &str) -> Option<Self> {
        let mut rest = LETTERS.char_indices();
        let mut permissions = 0;
        for letter in letters.chars() {
            let (place, _) = rest.find(|(_, next)| *next == letter)?;
            permissions |= 1 << place;
        }
        (permissions != 0).then_some(Self(permissions))
    }
}

/// The name of an operation. The dollar sign may be encoded, as in a URL.
fn operation(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$').or_else(|| text.strip_prefix("%24"))?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_name.then_some(name)
}

fn resources(context: Context, text: &str) -> Option<ResourceScope<'_>> {
    let (subject, query) = match text.split_once('?') {
        Some((subject, query)) => (subject, Some(query)),
        None => (text, None),
    };
    let (resource_type, permissions) = subject.split_once('.')?;
    // Only v2 has queries, and one that asks for nothing was not meant.
    let is_of_v1 = matches!(permissions, "read" | "write" | "*");
    if query.is_some_and(|query| query.is_empty() || is_of_v1) {
        return None;
    }
    let is_name = !resource_type.is_empty() && resource_type.bytes().all(|b| b.is_ascii_alphabetic());
    let resource_type = match resource_type {
        "*" => None,
        named if is_name => Some(named),
        _ => return None,
    };
    Some(ResourceScope { context, resource_type, permissions: Permissions::parse(permissions)?, query })
}

const LETTERS: &str = "cruds";

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(text: &str) -> Option<String> {
        match Scope::parse(text) {
            Scope::Resources(scope) => Some(LETTERS.chars().filter(|c| scope.permissions.include(*c)).collect()),
            Scope::Operation { .. } | Scope::Other => None,
        }
    }

    /// SM-SCP-01, SM-SCP-02, SM-SCP-03.
    #[test]
    fn both_grammars_are_read() {
        for (text, expected) in [
            ("system/*.read", "rs"),
            ("user/Patient.write", "cud"),
            ("patient/Observation.*", "cruds"),
            ("system/*.cruds", "cruds"),
            ("user/Patient.rs", "rs"),
            ("patient/*.r", "r"),
            ("system/Group.cd", "cd"),
            ("system/Observation.rs?category=laboratory&status=final", "rs"),
        ] {
            assert_eq!(letters(text).as_deref(), Some(expected), "{text}");
        }
        let granular = Scope::parse("user/Observation.rs?category=http://x.example|a,b&status=final");
        let expected = ResourceScope {
            context: Context::User,
            resource_type: Some("Observation"),
            permissions: Permissions::of_letters("rs").unwrap(),
            query: Some("category=http://x.example|a,b&status=final"),
        };
        assert_eq!(granular, Scope::Resources(expected));
    }

    #[test]
    fn what_is_not_of_the_grammar_is_no_scope_of_resources() {
        for text in [
            "",
            "openid",
            "launch/patient",
            "offline_access",
            "system/Patient",
            "system/Patient.",
            "system/.rs",
            "system/Patient.sr",
            "system/Patient.dus",
            "system/Patient.rr",
            "system/Patient.reads",
            "system/Patient.read ",
            "system/**.read",
            "system/Pati-ent.rs",
            "SYSTEM/*.read",
            "system/Patient.rs?",
            "system/Patient.read?gender=male",
            "system/Patient.*?gender=male",
        ] {
            assert_eq!(Scope::parse(text), Scope::Other, "{text}");
        }
    }

    /// EHI-AUTH-07.
    #[test]
    fn the_scope_of_an_operation_is_kept_whole() {
        let ehi = |context| Scope::Operation { context, name: "ehi-export" };
        assert_eq!(Scope::parse("patient/$ehi-export"), ehi(Context::Patient));
        assert_eq!(Scope::parse("system/%24ehi-export"), ehi(Context::System));
        for text in ["$ehi-export", "system/$", "system/$ehi-export.rs", "system/$ehi-export?a=b", "system/ehi-export"]
        {
            assert_eq!(Scope::parse(text), Scope::Other, "{text}");
        }
    }
}
