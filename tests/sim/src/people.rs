//! Everyone who has to do with a job and is no host: staff, the patient, those who must not know of it, those who come late.

use std::{collections::BTreeSet, rc::Rc};

use ehi_core::job::{Command, FormAnswers, State, StepWanted, Wants};

use crate::{
    coverage::Fault,
    data::{LABEL, MINUTE, SECOND},
    host::{Host, Pulse},
    network,
    server::Who,
    wire::{Answer, Asked},
    world::{Stop, World},
};

/// A job was accepted: whoever has to do with it comes.
pub(crate) fn attend(world: &Rc<World>, job: &str) {
    world.spawn(take_steps(Rc::clone(world), job.to_owned()));
    world.spawn(pry(Rc::clone(world), job.to_owned()));
    world.spawn(come_late(Rc::clone(world), job.to_owned()));
    match world.pick(0..20) {
        0..5 => world.spawn(remove_at(State::Failed, Rc::clone(world), job.to_owned())),
        5 => world.spawn(remove_at(State::AwaitingRelease, Rc::clone(world), job.to_owned())),
        _ => {}
    }
    if world.scenario.has_follower {
        world.spawn(follow(Rc::clone(world), job.to_owned()));
    }
}

/// The patient fills in the form, staff take their steps.
async fn take_steps(world: Rc<World>, job: String) {
    let desk = Host { world: Rc::clone(&world), number: 0, pulse: Rc::new(Pulse::default()) };
    loop {
        let Some(state) = state(&world, &job).filter(|state| state.is_unfinished()) else { return };
        if !state.is_waiting() {
            world.time.listen(10 * MINUTE).await;
            continue;
        }
        let think = world.pick(SECOND..world.scenario.people_millis + 2 * SECOND);
        world.time.sleep(think).await;
        let is_form = state == State::AwaitingPatient;
        if world.strikes(if is_form { Fault::FormSilent } else { Fault::StaffSilent }) {
            world.time.sleep(2 * 60 * MINUTE).await;
            continue;
        }
        if is_form {
            fill_in(&world, &desk, &job).await;
        } else {
            decide(&world, &desk, &job).await;
        }
    }
}

/// The patient fills in the form. Until that is stored it counts for nothing.
async fn fill_in(world: &World, desk: &Host, job: &str) {
    let answers = form(world);
    let told = |answers: FormAnswers| {
        if let Some(facts) = world.ledger.borrow_mut().jobs.get_mut(job) {
            facts.answers = answers;
        }
    };
    told(answers.clone());
    if let Err(Stop::Refused(_)) = desk.command(job, Command::FormSubmitted { answers }).await
        && state(world, job) == Some(State::AwaitingPatient)
    {
        told(FormAnswers::default());
    }
}

/// Staff take the step that is waited for.
async fn decide(world: &World, desk: &Host, job: &str) {
    let Ok(Wants::Step(StepWanted { name: step, .. })) = desk.wants(job).await else { return };
    let by = String::from("staff");
    let decision = if world.strikes(Fault::StaffRejects) {
        Command::Reject { step, code: "identity".into(), by, note: "for staff only".into() }
    } else {
        if let Some(facts) = world.ledger.borrow_mut().jobs.get_mut(job) {
            facts.approved.insert(step.clone());
        }
        Command::Approve { step, by }
    };
    // Whether it was stored shows when they look again.
    let _ = desk.command(job, decision).await;
}

/// Answers of a form that narrow the export, or now and then such as cannot be applied.
fn form(world: &World) -> FormAnswers {
    let mut answers = FormAnswers::default();
    if world.strikes(Fault::FormWrong) {
        answers.types = Some(BTreeSet::from(["Nonsense".to_owned()]));
    } else if world.pick(0..2) == 0 {
        let all = ["Patient", "Observation", "Encounter", "Provenance"];
        answers.types = Some(all.into_iter().filter(|_| world.pick(0..3) > 0).map(str::to_owned).collect());
    }
    if world.pick(0..2) == 0 {
        answers.withheld_labels.insert(LABEL.to_owned());
    }
    answers
}

/// Someone who must not know of the job asks for it all the same, and is told what is told of no job at all.
async fn pry(world: Rc<World>, job: String) {
    let token = Who::uninvited(&world).token(i64::MAX);
    let nobody = "00000000000000000000000000000000";
    for _ in 0..2 {
        let wait = world.pick(SECOND..40 * MINUTE);
        world.time.sleep(wait).await;
        let method = if world.pick(0..3) == 0 { "DELETE" } else { "GET" };
        let token = (world.pick(0..4) > 0).then_some(token.as_str());
        let names = world.store.borrow().rows(&job);
        let name = names.first().map_or_else(|| "Patient-0001.ndjson".to_owned(), |row| row.name.clone());
        let (method, path) =
            if world.pick(0..2) == 0 { ("GET", format!("/files/{name}")) } else { (method, String::new()) };
        let ask = |id: &str| Asked::new(method, &format!("/fhir/bulk/{id}{path}"), token);
        let of_job = network::deliver(&world, &ask(&job)).await;
        let of_none = network::deliver(&world, &ask(nobody)).await;
        let (Some(of_job), Some(of_none)) = (of_job, of_none) else { continue };
        let expected = if token.is_some() { 404 } else { 401 };
        // A host that failed itself says so of any job.
        if of_job.status != 500 && of_none.status != 500 && (of_job != of_none || of_job.status != expected) {
            world.violate(format!("a job tells of itself to others: {} and {}", of_job.status, of_none.status));
        }
    }
}

/// Someone with the owner's token asks for files before there are any, and long after they are gone.
async fn come_late(world: Rc<World>, job: String) {
    let token = Who::Owner.token(i64::MAX);
    let retention = i64::try_from(world.scenario.config.retention_seconds).unwrap_or_default() * SECOND;
    let mut names = BTreeSet::from(["Patient-0001.ndjson".to_owned()]);
    for wait in [30 * SECOND, 10 * MINUTE, retention + 15 * MINUTE] {
        let wait = world.pick(wait / 2..wait * 2);
        for _ in 0..4 {
            world.time.sleep(wait / 4).await;
            names.extend(world.store.borrow().rows(&job).into_iter().map(|row| row.name));
            // The newest is on a page in the making, if any is.
            let newest = world.store.borrow().newest(&job);
            if let Some(name) = newest {
                let ask = Asked::new("GET", &format!("/fhir/bulk/{job}/files/{name}"), Some(&token));
                network::deliver(&world, &ask).await;
            }
        }
        for name in names.iter().take(2) {
            let ask = Asked::new("GET", &format!("/fhir/bulk/{job}/files/{name}"), Some(&token));
            network::deliver(&world, &ask).await;
        }
    }
    if state(&world, &job).is_none_or(|state| !state.is_unfinished()) {
        network::deliver(&world, &Asked::new("GET", &format!("/fhir/bulk/{job}"), Some(&token))).await;
    }
    // Who asked once removes what nobody removed, or did so long ago.
    if world.pick(0..2) == 0 {
        network::deliver(&world, &Asked::new("DELETE", &format!("/fhir/bulk/{job}"), Some(&token))).await;
    }
}

/// Someone with the owner's token removes an export as soon as it is in that state.
async fn remove_at(wanted: State, world: Rc<World>, job: String) {
    while state(&world, &job).is_some_and(|state| state.is_unfinished() && state != wanted) {
        world.time.listen(10 * MINUTE).await;
    }
    if state(&world, &job) == Some(wanted) {
        let token = Who::Owner.token(i64::MAX);
        network::deliver(&world, &Asked::new("DELETE", &format!("/fhir/bulk/{job}"), Some(&token))).await;
    }
}

/// Another client that may follow the export polls it, as often as it is told to.
async fn follow(world: Rc<World>, job: String) {
    let token = Who::Other.token(i64::MAX);
    let ask = Asked::new("GET", &format!("/fhir/bulk/{job}"), Some(&token));
    for _ in 0..30 {
        let answer = network::deliver(&world, &ask).await.unwrap_or_else(|| Answer::new(500));
        if !matches!(answer.status, 202 | 429 | 500) {
            return;
        }
        let seconds: i64 = answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(5);
        let wait = seconds * SECOND + world.pick(0..SECOND);
        world.time.sleep(wait).await;
    }
}

fn state(world: &World, job: &str) -> Option<State> {
    world.ledger.borrow().jobs.get(job)?.state
}
