//! Steps that people take: a patient's form and the staff's approvals before an export, the staff's look at the files
//! before they are released. A deployment names them; a job keeps its own copy, so that a changed configuration does not
//! strand what waits.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{Effects, Job, JobMisuse, State, state::Event};
use crate::{
    kick_off::Operation,
    outcome::{Issue, IssueCode},
    plan::{ExportPlan, TypeSelection},
    time::Timestamp,
    type_filter::{self, Filter, FilterContext, TypeFilterSource},
};

/// What people do about exports, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StepsConfig {
    /// The form that a patient fills in first.
    pub patient_form: Option<PatientForm>,
    /// Before the export: a contract addendum, a fee, a review of the request.
    pub before: Vec<StepConfig>,
    /// Between the export and the release of its files.
    pub release: Vec<StepConfig>,
    /// Why a step may be rejected.
    pub rejection_codes: Vec<RejectionCode>,
}

/// A form that a patient fills in, on a page of the deployment's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatientForm {
    /// The absolute address of the page; `{job}` stands for the job's id.
    pub url: String,
    /// How long the patient has, in seconds.
    pub deadline_seconds: u64,
    /// Writes the link without angle brackets, for clients that know none.
    #[serde(default)]
    pub bare_link: bool,
}

/// A step that someone takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepConfig {
    /// Its name, by which it is approved.
    pub name: String,
    /// What a waiting client reads in `X-Progress`, such as `the contract addendum is being signed`.
    pub progress: String,
    /// How long it may take, in seconds.
    pub deadline_seconds: u64,
    /// Of which operations it is a step.
    #[serde(default = "both_operations")]
    pub operations: BTreeSet<Operation>,
}

/// Why a step may be rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectionCode {
    /// By which staff name it.
    pub code: String,
    /// What the client reads.
    pub text: String,
}

/// What a patient chose in the form. It narrows the export, never widens it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FormAnswers {
    /// Only these resource types.
    pub types: Option<BTreeSet<String>>,
    /// Nothing with these security labels (`system|code`): the sensitive categories that the patient did not release.
    pub withheld_labels: BTreeSet<String>,
    /// Of a type only what meets one of these queries, such as a range of dates; in the form of `_typeFilter`.
    pub type_filters: Vec<String>,
}

/// What a patient releases or does not tells of the patient.
impl fmt::Debug for FormAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormAnswers(withheld)")
    }
}

/// The steps of one job, and how far they are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct StepsTaken {
    pub(super) form: Option<PatientForm>,
    pub(super) before: Vec<StepConfig>,
    pub(super) release: Vec<StepConfig>,
    pub(super) rejection_codes: Vec<RejectionCode>,
    /// What staff decided, in order.
    pub(super) taken: Vec<StepTaken>,
}

/// What was decided about a step. The note stays with staff: no client ever reads it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepTaken {
    /// The step.
    pub name: String,
    /// The code of the rejection; `None` if it was approved.
    pub rejected: Option<String>,
    /// Who decided, as the deployment names its staff.
    pub by: String,
    /// A free note for staff.
    #[serde(default)]
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// The note may say anything of the patient.
impl fmt::Debug for StepTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rejected, by, at, note: _ } = self;
        let mut shown = f.debug_struct("StepTaken");
        shown.field("name", name).field("rejected", rejected).field("by", by).field("at", at).finish_non_exhaustive()
    }
}

/// A step that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepWanted {
    /// Its name.
    pub name: String,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl StepsConfig {
    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let steps = || self.before.iter().chain(&self.release);
        let mut names = BTreeSet::new();
        let is_text =
            |text: &str| !text.is_empty() && text.len() <= 60 && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !steps().all(|step| names.insert(&step.name)) {
            Some("each of `steps` must have a name of its own")
        } else if !steps().all(|step| is_text(&step.name) && is_text(&step.progress)) {
            Some("`name` and `progress` of each of `steps` must be 1 to 60 characters of visible ASCII")
        } else if steps().any(|step| step.deadline_seconds == 0 || step.operations.is_empty()) {
            Some("each of `steps` must have a deadline and an operation")
        } else if self.patient_form.as_ref().is_some_and(|form| !form.is_sound()) {
            Some("`steps.patientForm` must have a deadline and an absolute https address")
        } else {
            None
        }
    }

    /// The steps of a job.
    pub(super) fn of(&self, operation: Operation) -> StepsTaken {
        let of_operation =
            |steps: &[StepConfig]| steps.iter().filter(|step| step.operations.contains(&operation)).cloned().collect();
        StepsTaken {
            form: self.patient_form.clone().filter(|_| operation == Operation::EhiExport),
            before: of_operation(&self.before),
            release: of_operation(&self.release),
            rejection_codes: self.rejection_codes.clone(),
            taken: Vec::new(),
        }
    }
}

impl PatientForm {
    fn is_sound(&self) -> bool {
        let absolute = self.url.starts_with("https://") || self.url.starts_with("http://");
        absolute && self.deadline_seconds > 0 && self.url.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b))
    }
}

impl StepsTaken {
    fn is_taken(&self, step: &StepConfig) -> bool {
        self.taken.iter().any(|taken| taken.name == step.name)
    }

    fn next(&self, steps: &[StepConfig]) -> Option<StepConfig> {
        steps.iter().find(|step| !self.is_taken(step)).cloned()
    }
}

impl Job {
    /// The step that is waited for.
    pub(super) fn step(&self) -> Option<StepConfig> {
        let steps = &self.record.steps;
        match self.record.state {
            State::AwaitingStep => steps.next(&steps.before),
            State::AwaitingRelease => steps.next(&steps.release),
            _ => None,
        }
    }

    /// What staff decided so far, for their own eyes.
    pub fn steps_taken(&self) -> &[StepTaken] {
        &self.record.steps.taken
    }

    /// The `Link` that leads the patient to the form, while it is not filled in (EHI-KICK-07).
    pub(crate) fn patient_link(&self) -> Option<String> {
        let form = self.record.steps.form.as_ref().filter(|_| self.record.state == State::AwaitingPatient)?;
        let url = form.url.replace("{job}", &self.record.id.to_string());
        Some(if form.bare_link {
            format!("{url}; rel=\"patient-interaction\"")
        } else {
            format!("<{url}>; rel=\"patient-interaction\"")
        })
    }

    /// Goes on to what comes first of what is still to be done before the export.
    pub(super) fn prepare(&mut self, now: Timestamp) -> Result<(), JobMisuse> {
        let step = self.record.steps.next(&self.record.steps.before);
        let (event, seconds) = match &step {
            Some(step) => (Event::AwaitStep, Some(step.deadline_seconds)),
            None => (Event::Queue, self.record.run_seconds),
        };
        if !self.enter(event) {
            return Err(self.record.state.into());
        }
        self.record.deadline = seconds.map(|seconds| now.plus_seconds(seconds));
        Ok(())
    }

    /// The work is done: goes on to its release, or to the first step before that.
    pub(super) fn release(&mut self, now: Timestamp) {
        match self.record.steps.next(&self.record.steps.release) {
            Some(step) => {
                if self.enter(Event::AwaitRelease) {
                    self.record.deadline = Some(now.plus_seconds(step.deadline_seconds));
                    self.record.lease = None;
                }
            }
            None => {
                if self.enter(Event::Finish) {
                    self.record.deadline = None;
                    self.record.lease = None;
                    self.record.ended = Some(now);
                }
            }
        }
    }

    /// The patient has filled in the form.
    pub(super) fn submit_form(&mut self, answers: &FormAnswers, now: Timestamp) -> Result<(), JobMisuse> {
        if self.record.state != State::AwaitingPatient {
            return Err(self.record.state.into());
        }
        // On a copy, so that answers that cannot be applied change nothing.
        let mut plan = self.record.plan.clone();
        narrow(&mut plan, answers)?;
        self.prepare(now)?;
        self.record.plan = plan;
        Ok(())
    }

    /// Staff have decided about the step that is waited for.
    pub(super) fn take_step(&mut self, taken: StepTaken, now: Timestamp) -> Result<(), JobMisuse> {
        let step = self.step().ok_or(JobMisuse::WrongState(self.record.state))?;
        if step.name != taken.name {
            return Err(JobMisuse::OtherStep);
        }
        if let Some(code) = &taken.rejected {
            let known = self.record.steps.rejection_codes.iter().find(|known| known.code == *code);
            let text = known.map(|known| known.text.clone()).ok_or(JobMisuse::UnknownRejection)?;
            self.record.steps.taken.push(taken);
            self.fail_with(Issue::error(IssueCode::Suppressed, text), now);
            return Ok(());
        }
        let before = self.record.state == State::AwaitingStep;
        self.record.steps.taken.push(taken);
        if before {
            return self.prepare(now);
        }
        self.release(now);
        Ok(())
    }

    /// A state has lasted too long.
    pub(super) fn time_out(&mut self, now: Timestamp) -> Effects {
        let waited_for = self.step().map_or("it", |_| "a step of it");
        let diagnostics = match self.record.state {
            State::AwaitingPatient => String::from("the form for the patient was not filled in in time"),
            State::AwaitingStep | State::AwaitingRelease => format!("{waited_for} was not approved in time"),
            _ => String::from("the export took too long"),
        };
        let job = self.fail_with(Issue::error(IssueCode::Timeout, diagnostics), now);
        Effects { job, ..Effects::default() }
    }
}

/// What a patient chose is taken off the plan.
fn narrow(plan: &mut ExportPlan, answers: &FormAnswers) -> Result<(), JobMisuse> {
    let definitions = plan.definitions();
    if let Some(types) = &answers.types {
        let types: Option<BTreeSet<_>> = types.iter().map(|name| definitions.resource_type(name)).collect();
        let chosen = types.ok_or(JobMisuse::Answers)?;
        let chosen = chosen.into_iter().filter(|resource_type| plan.types.has(resource_type.as_str())).collect();
        plan.types = TypeSelection::Only(chosen);
    }
    if answers.withheld_labels.iter().any(|label| !label.contains('|')) {
        return Err(JobMisuse::Answers);
    }
    plan.withheld_labels.extend(answers.withheld_labels.iter().cloned());
    let sources: Vec<_> = answers.type_filters.iter().map(|query| TypeFilterSource::Post(query)).collect();
    let queries = type_filter::parse(&sources, crate::Edition::Stu3, &definitions).map_err(|_| JobMisuse::Answers)?;
    // As a writer will read them, so that no export fails by its form. When that is makes no difference to whether it can.
    let context = FilterContext { base_url: String::new(), now: Timestamp::from_millis(0) };
    Filter::compile(&queries, &plan.search_definitions(), &context).map_err(|_| JobMisuse::Answers)?;
    if !plan.type_filters.is_empty() && !queries.is_empty() {
        // Both would have to hold, and an `or` of them would widen.
        return Err(JobMisuse::Answers);
    }
    plan.type_filters.extend(queries.iter().map(ToString::to_string));
    Ok(())
}

fn both_operations() -> BTreeSet<Operation> {
    [Operation::Export, Operation::EhiExport].into()
}
