//! What stands in a case file. Unknown members are refused, so that a misspelt expectation cannot pass unseen.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ehi_core::{
    Timestamp,
    access::Principal,
    endpoint::{Auth, EndpointConfig},
    job::Command,
    writer::WriterLimits,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::lines::{Source, Text};
use crate::requirement::is_known;

/// One behaviour, told as data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name of its file, which is the behaviour.
    #[serde(skip)]
    pub name: String,
    /// What happens and why, in a sentence or two.
    pub about: String,
    /// The requirements of the guides that it is about.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The deployment.
    #[serde(default = "default_config")]
    pub config: EndpointConfig,
    /// When it begins, in milliseconds since 1970.
    #[serde(default = "default_now")]
    pub now: i64,
    /// Who asks, by name.
    #[serde(default)]
    pub(super) principals: BTreeMap<String, Bearer>,
    /// The data, by the name of the file.
    #[serde(default)]
    pub(super) sources: BTreeMap<String, Source>,
    /// Whether resources may go out with other bytes than they came with.
    #[serde(default)]
    pub(super) rewrites: bool,
    /// The members of each group, by its id: patients by id, others as `Type/id`.
    #[serde(default)]
    pub(super) groups: BTreeMap<String, Vec<String>>,
    /// When the membership of some of them began; of the others nobody knows.
    #[serde(default)]
    pub(super) members_since: BTreeMap<String, Timestamp>,
    /// The patients of each practitioner, by the practitioner's id.
    #[serde(default)]
    pub(super) practitioners: BTreeMap<String, Vec<String>>,
    /// What consent forbids: the texts of the set of vetoes.
    #[serde(default)]
    pub(super) vetoes: Vec<String>,
    /// The codes of each ValueSet that is known, by its canonical.
    #[serde(default)]
    pub(super) value_sets: BTreeMap<String, Vec<String>>,
    /// How files are cut.
    #[serde(default)]
    pub(super) limits: WriterLimits,
    /// What happens.
    pub(super) steps: Vec<Step>,
}

impl Case {
    /// Reads a case from the text of its file.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        let case = Self { name: name.to_owned(), ..serde_json::from_str(text)? };
        for id in &case.requirements {
            ensure!(is_known(id), "`{id}` is not in tests/requirements.toml");
        }
        Ok(case)
    }

    /// Who asks: `open`, `anonymous`, or a bearer of the case.
    pub(super) fn principal(&self, name: &str) -> Result<Principal> {
        Ok(match name {
            "open" => Principal::Open,
            "anonymous" => Principal::Anonymous,
            named => self.principals.get(named).with_context(|| format!("no principal `{named}`"))?.principal(named),
        })
    }
}

/// The bearer of a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bearer {
    /// The name under which it stands, unless told otherwise.
    client: Option<String>,
    scopes: Vec<String>,
    #[serde(default = "default_expiry")]
    expires: Timestamp,
}

impl Bearer {
    fn principal(&self, name: &str) -> Principal {
        Principal::Known {
            client: self.client.clone().unwrap_or_else(|| name.to_owned()),
            user: None,
            patient: None,
            scopes: self.scopes.clone(),
            roles: Vec::new(),
            expires: self.expires,
        }
    }
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "StepForm")]
pub(super) enum Step {
    /// The clock moves on, by milliseconds.
    Advance(i64),
    /// A client asks, over HTTP.
    Request(Request, Answer),
    /// A host does the whole work of a job.
    Export(Export, Published),
    /// A host gives one command.
    Command(Command, Outcome),
    /// A host asks what is to be done.
    Wants(String, Value),
    /// A host does what time asks for: lets the job expire, removes its files, forgets it.
    Sweep(Value),
}

/// A step as it is written: one member that says what happens, and `expect`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepForm {
    advance: Option<i64>,
    request: Option<Request>,
    export: Option<Export>,
    command: Option<Command>,
    wants: Option<String>,
    sweep: Option<Nothing>,
    expect: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl TryFrom<StepForm> for Step {
    type Error = anyhow::Error;

    fn try_from(form: StepForm) -> Result<Self> {
        let StepForm { advance, request, export, command, wants, sweep, expect } = form;
        let mut steps = Vec::new();
        if let Some(millis) = advance {
            ensure!(expect.is_none(), "nothing is to be expected of `advance`");
            steps.push(Self::Advance(millis));
        }
        if let Some(request) = request {
            steps.push(Self::Request(request, expected("request", expect.as_deref())?));
        }
        if let Some(export) = export {
            steps.push(Self::Export(export, expected("export", expect.as_deref())?));
        }
        if let Some(command) = command {
            steps.push(Self::Command(command, expected("command", expect.as_deref())?));
        }
        if let Some(holder) = wants {
            steps.push(Self::Wants(holder, expected("wants", expect.as_deref())?));
        }
        if let Some(Nothing {}) = sweep {
            steps.push(Self::Sweep(expected("sweep", expect.as_deref())?));
        }
        ensure!(steps.len() == 1, "a step is one of advance, request, export, command, wants, sweep");
        steps.pop().context("a step says what happens")
    }
}

fn expected<'f, T: Deserialize<'f>>(what: &str, form: Option<&'f RawValue>) -> Result<T> {
    let form = form.with_context(|| format!("`{what}` needs `expect`"))?;
    serde_json::from_str(form.get()).with_context(|| format!("what is expected of `{what}`"))
}

/// What a client asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default = "default_method")]
    pub(super) method: String,
    /// `{job}` in it is the path of the job that was accepted last.
    pub(super) target: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, OneOrMore>,
    pub(super) body: Option<Text>,
    #[serde(default = "default_principal")]
    pub(super) principal: String,
}

/// The value of a header field, or those of several with its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(super) fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::More(values) => values,
        }
    }
}

/// What a client is to get.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Exact values; `null` for a field that is not there.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// What the JSON in the body has, among others.
    pub(super) body: Option<Value>,
    /// The body as it is.
    pub(super) text: Option<String>,
    /// The body, line by line.
    pub(super) lines: Option<Vec<Text>>,
}

/// How a host does the work of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    #[serde(default = "default_holder")]
    pub(super) holder: String,
    /// Into how many partitions the sources are dealt, one after another.
    #[serde(default = "default_partitions")]
    pub(super) partitions: u32,
    /// Of which instant the data are a picture; now, if not said.
    pub(super) transaction_time: Option<Timestamp>,
    /// Lines of each source whose resource has a newer version elsewhere, from 1.
    #[serde(default)]
    pub(super) superseded: BTreeMap<String, Vec<usize>>,
    /// After how many published files the host is lost, once, and comes back under its name.
    pub(super) crash_after: Option<usize>,
}

/// What is to be published by then: these files and no others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    /// The lines of each file.
    pub(super) files: BTreeMap<String, Vec<Text>>,
    /// What each row has, among others, in the order in which they were published.
    pub(super) rows: Option<Vec<Value>>,
}

/// What is to become of a command.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// It is taken, under this epoch.
    Epoch(u64),
    /// It is not; part of the reason.
    Refused(String),
}

fn default_config() -> EndpointConfig {
    EndpointConfig::new("https://ehr.example/fhir", Auth::None)
}

/// 2026-01-01T00:00:00Z.
fn default_now() -> i64 {
    1_767_225_600_000
}

fn default_expiry() -> Timestamp {
    Timestamp::from_millis(default_now()).plus_seconds(60 * 60)
}

fn default_method() -> String {
    "GET".to_owned()
}

fn default_principal() -> String {
    "open".to_owned()
}

fn default_holder() -> String {
    "host-a".to_owned()
}

fn default_partitions() -> u32 {
    1
}
