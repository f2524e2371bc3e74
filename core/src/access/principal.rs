//! Who asks.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    grant::TypeGrant,
    roles::{Reach, Right, Roles},
    scope::{Context, Scope},
};
use crate::{
    Sensitive,
    kick_off::{Level, Operation},
    time::Timestamp,
};

/// Who asks. Nothing here has a permissive default: a missing or unknown member is refused when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Principal {
    /// No token. Answered 401 everywhere but at public addresses.
    Anonymous,
    /// Anyone, where the configuration says that there is no authorisation; refused where it does not.
    Open,
    /// The bearer of a token that the embedder has verified.
    Known {
        /// `client_id`.
        client: String,
        /// The user, where there is one.
        user: Option<Sensitive<String>>,
        /// The patient in context, where there is one.
        patient: Option<Sensitive<String>>,
        /// The scopes that the token carries.
        scopes: Vec<String>,
        /// The roles and permissions of the user; none means no right.
        #[serde(default)]
        roles: Vec<String>,
        /// When the token ends.
        expires: Timestamp,
    },
}

impl Principal {
    /// Reads a principal from its JSON value.
    pub fn from_json(json: &str) -> Result<Self, TokenError> {
        serde_json::from_str(json).map_err(|_| TokenError)
    }

    /// What the scopes let the principal export of each resource type at that level (BD-SEC-06).
    ///
    /// Scopes of a system count at every level, those of a patient for the export of that one patient only, those of a user
    /// where there is one whose roles mean something.
    pub fn may_export(&self, level: &Level, roles: Option<&Roles>) -> TypeGrant {
        match self {
            Self::Anonymous => TypeGrant::nothing(),
            Self::Open => TypeGrant::everything(),
            Self::Known { scopes, .. } => {
                let of_patient = matches!(level, Level::Patient(id) if self.is_about(id));
                let of_user = self.has_user() && roles.is_some();
                let contexts = [(Context::System, true), (Context::Patient, of_patient), (Context::User, of_user)];
                let contexts = contexts.into_iter().filter_map(|(context, counts)| counts.then_some(context));
                TypeGrant::of_scopes(scopes, &contexts.collect())
            }
        }
    }

    /// Whether the scopes let the principal export that patient's whole record: a patient the own one, a system anyone's
    /// (EHI-AUTH-05, EHI-AUTH-06). No resource scope implies it.
    pub fn may_export_ehi_of(&self, id: &str, roles: Option<&Roles>) -> bool {
        match self {
            Self::Anonymous => false,
            Self::Open => true,
            Self::Known { scopes, .. } => scopes.iter().any(|scope| match Scope::parse(scope) {
                Scope::Operation { context, name: "ehi-export" } => match context {
                    Context::System => true,
                    Context::Patient => self.is_about(id),
                    Context::User => self.has_user() && roles.is_some(),
                },
                Scope::Operation { .. } | Scope::Resources(_) | Scope::Other => false,
            }),
        }
    }

    /// What the roles of the user allow. A client without a user is judged by its scopes alone, and so is everyone where no
    /// roles are stated.
    pub(crate) fn right(&self, roles: Option<&Roles>, operation: Operation, level: &Level) -> Right {
        match (self, roles) {
            (Self::Anonymous, _) => Right::Refused,
            (Self::Known { user: Some(_), roles: own, .. }, Some(roles)) => {
                let about = matches!(level, Level::Patient(id) if self.is_about(id));
                roles.right(own, operation, level, about)
            }
            (Self::Open | Self::Known { .. }, _) => Right::Allowed,
        }
    }

    /// Which resources of a type the roles of the user let be looked up: those that the user may start exports of. A
    /// client without a user is judged by its scopes alone, and so is everyone where no roles are stated.
    pub(crate) fn sight(&self, resource_type: &str, roles: Option<&Roles>) -> Sight {
        let (own, roles) = match (self, roles) {
            (Self::Anonymous, _) => return Sight::Nobody,
            (Self::Known { user: Some(_), roles: own, .. }, Some(roles)) => (own, roles),
            (Self::Open | Self::Known { .. }, _) => return Sight::Everyone,
        };
        let reaches = |reach| roles.reach(own, reach);
        match (resource_type, self.patient()) {
            ("Group", _) if reaches(Reach::Group) => Sight::Everyone,
            ("Practitioner", _) if reaches(Reach::Provider) => Sight::Everyone,
            ("Patient", _) if reaches(Reach::AnyPatient) => Sight::Everyone,
            ("Patient", _) if reaches(Reach::AccessiblePatient) => Sight::Accessible,
            ("Patient", Some(patient)) if reaches(Reach::OwnPatient) => Sight::Own(patient.to_owned()),
            _ => Sight::Nobody,
        }
    }

    /// The patient in context, where there is one.
    pub(crate) fn patient(&self) -> Option<&str> {
        match self {
            Self::Known { patient: Some(patient), .. } => Some(patient.expose()),
            Self::Anonymous | Self::Open | Self::Known { .. } => None,
        }
    }

    /// The user, where there is one.
    pub(crate) fn user(&self) -> Option<&Sensitive<String>> {
        match self {
            Self::Known { user, .. } => user.as_ref(),
            Self::Anonymous | Self::Open => None,
        }
    }

    fn has_user(&self) -> bool {
        self.user().is_some()
    }

    /// Whether that patient is the one in context.
    fn is_about(&self, id: &str) -> bool {
        matches!(self, Self::Known { patient: Some(patient), .. } if patient.expose() == id)
    }

    /// Whether the token has ended.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        matches!(self, Self::Known { expires, .. } if *expires <= now)
    }

    /// As whom a job is started.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Known { client, .. } => Owner::Client(client.clone()),
            Self::Anonymous | Self::Open => Owner::Anyone,
        }
    }
}

/// What a user may look up.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    Nobody,
    /// Those that the embedder's rules open to the user.
    Accessible,
    /// That patient.
    Own(String),
    Everyone,
}

/// To whom a job belongs (BD-SEC-04).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// Started where there is no authorisation.
    Anyone,
    /// Started by that client.
    Client(String),
}

/// A principal's JSON value lacks a member or has an unknown one. Carries nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenError;

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the principal lacks a member, or has one that is unknown or of the wrong type")
    }
}

impl std::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_no_permissive_default() {
        assert_eq!(Principal::from_json("\"anonymous\""), Ok(Principal::Anonymous));
        assert_eq!(Principal::from_json("\"open\""), Ok(Principal::Open));
        let known =
            r#"{"known":{"client":"c","user":null,"patient":null,"scopes":[],"expires":"2030-01-01T00:00:00Z"}}"#;
        assert!(Principal::from_json(known).unwrap().may_export(&Level::System, None).is_nothing());
        for wrong in [
            "",
            "{}",
            "null",
            "\"Open\"",
            "{\"known\":{}}",
            r#"{"known":{"client":"c","scopes":[]}}"#,
            r#"{"known":{"client":"c","user":null,"patient":null,"scopes":[],"expires":"2030-01-01T00:00:00Z","admin":true}}"#,
        ] {
            assert_eq!(Principal::from_json(wrong), Err(TokenError), "{wrong}");
        }
    }
}
