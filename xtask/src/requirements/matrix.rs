//! The list of requirements, and the records of the tests that reached them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// `tests/requirements.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matrix {
    #[serde(rename = "requirement", default)]
    pub(super) requirements: Vec<Requirement>,
}

impl Matrix {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }
}

/// One thing that a guide asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    pub(super) id: String,
    pub(super) actor: Actor,
    pub(super) level: Level,
    /// The guide, or its edition, that asks first.
    pub(super) since: String,
    pub(super) area: String,
    pub(super) text: String,
    /// How a test can tell.
    #[serde(default)]
    pub(super) check: String,
    pub(super) status: Status,
    /// Where it is documented, as `docs/page.md#heading`.
    #[serde(rename = "where", default)]
    pub(super) place: String,
    /// Through what a test of it has to go, if it is asked of servers.
    #[serde(default)]
    pub(super) shown: Shown,
    #[serde(default)]
    pub(super) reason: String,
}

/// Through what a test has to go for its word to count.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shown {
    /// The component, asked over HTTP.
    #[default]
    HttpComponent,
    /// Core alone: what it decides there is for an endpoint of the embedder's, which the host has not.
    Core,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Actor {
    Both,
    Client,
    Server,
}

impl Actor {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How strongly a guide asks, strongest first.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
pub(super) enum Level {
    #[serde(rename = "SHALL")]
    Shall,
    #[serde(rename = "SHALL NOT")]
    ShallNot,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
    #[serde(rename = "MAY")]
    May,
    /// Nowhere in so many words; it follows from what is.
    #[serde(rename = "(derived)")]
    Derived,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shall => "SHALL",
            Self::ShallNot => "SHALL NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
            Self::Derived => "(derived)",
        }
    }
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
pub(super) enum Status {
    #[serde(rename = "covered")]
    Covered,
    /// No test can tell; the documentation says it.
    #[serde(rename = "documented")]
    Documented,
    #[serde(rename = "not yet")]
    NotYet,
    #[serde(rename = "not applicable")]
    NotApplicable,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Documented => "documented",
            Self::NotYet => "not yet",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// A test's word that it reached a requirement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) test: String,
    pub(super) via: Via,
}

/// The face that the test went through.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
pub(super) enum Via {
    #[serde(rename = "http-component")]
    HttpComponent,
    #[serde(rename = "core")]
    Core,
    #[serde(rename = "host")]
    Host,
    #[serde(rename = "c")]
    C,
    #[serde(rename = "js")]
    Js,
}
