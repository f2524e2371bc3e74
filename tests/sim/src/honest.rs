//! A run with our own server: hosts, people, a client, and whatever goes wrong between them.

use std::rc::Rc;

use ehi_core::client::{Client, Outcome, Report};

use crate::{
    coverage::{Fault, Group},
    data::{DAY, HOUR, MINUTE, SECOND},
    driver::{Disk, Driver, End, downtime, word},
    host::{Host, Pulse},
    ledger::{compare, place},
    reference::Contents,
    scenario::CLIENT_SECONDS_MAX,
    world::{START, World},
};

/// Lets a world run to its end.
pub(crate) fn run(world: &Rc<World>) {
    let pulse = Rc::new(Pulse::default());
    for number in 0..world.scenario.hosts {
        world.time.spawn(Host { world: Rc::clone(world), number, pulse: Rc::clone(&pulse) }.run());
    }
    world.spawn(client(Rc::clone(world)));
    while world.violation().is_none() && !world.is_over() {
        if !world.time.step() {
            world.violate("nobody does anything any more, and there is still something to do");
        }
        if world.time.polls() > POLLS_MAX || world.time.now() > START + 10 * DAY {
            world.violate("it has no end");
        }
    }
    if world.violation().is_none() {
        world.check_end();
    }
}

/// The client, through all its crashes, to its end.
async fn client(world: Rc<World>) {
    let mut driver = Driver::new(&world, None);
    let Ok(plan) = world.scenario.request.clone().check() else { return world.violate("the request was refused") };
    let limits = world.scenario.client_limits;
    let first = || {
        Client::new(
            plan.clone(),
            limits,
            world.rng(|rng| rng.u64(..)),
            ehi_core::Timestamp::from_millis(world.time.now()),
        )
    };
    let mut client = first();
    let mut is_reopened = false;
    loop {
        match driver.live(&mut client).await {
            End::Crashed => {
                let down = downtime(&world);
                world.time.sleep(down).await;
                let is_new = driver.disk.borrow().record.is_empty();
                client = match driver.next_life() {
                    Some(client) => client,
                    None if is_new => first(),
                    None => return world.violate("the record of the client cannot be read"),
                };
            }
            End::Endless => return world.violate("the client has no end"),
            End::Done(report) => {
                world.coverage.borrow_mut().hit(Group::Outcome, word(&report.outcome));
                world.note(|| format!("client: {}", word(&report.outcome)));
                judge(&world, &driver, &report);
                // Whoever lacks something tries again, once.
                let again = !is_reopened && report.outcome != Outcome::Complete && world.pick(0..2) == 0;
                let Some(next) = again.then(|| driver.next_life()).flatten() else { return };
                is_reopened = true;
                let wait = world.pick(SECOND..5 * MINUTE);
                world.time.sleep(wait).await;
                driver.saw_resumed(ehi_core::client::Stage::Ended, next.stage());
                client = next;
            }
        }
    }
}

/// Whether the client may have ended so.
fn judge(world: &World, driver: &Driver, report: &Report) {
    let limit = i64::try_from(CLIENT_SECONDS_MAX).unwrap_or_default() * SECOND;
    // Whoever takes it up again has all that time anew.
    if world.time.now() > START + 2 * (limit + HOUR) {
        world.violate("the client took longer than its limit");
    }
    let ledger = world.ledger.borrow();
    let facts = driver.polled.as_ref().and_then(|job| ledger.jobs.get(job));
    let found = found(&driver.disk.borrow());
    match (&report.outcome, facts.and_then(|facts| facts.contents.as_ref())) {
        (Outcome::Complete, None) => world.violate("the client has a complete export that never was"),
        (Outcome::Complete, Some(wanted)) => {
            let parts =
                [(&wanted.output, &found.output), (&wanted.errors, &found.errors), (&wanted.deleted, &found.deleted)];
            for (wanted, found) in parts {
                if let Err(what) = compare(wanted, found) {
                    world.violate(format!("the client is complete, but of its lines {what}"));
                }
            }
            let lines: usize = parts.iter().map(|(_, found)| found.len()).sum();
            if report.resources != lines as u64 {
                world.violate("the client counted other than what it has");
            }
            if driver.disk.borrow().files.keys().any(|name| name.ends_with(".part")) {
                world.violate("the client is complete and has parts of files");
            }
        }
        (Outcome::Cancelled, _) if world.struck(Fault::ClientCancels) == 0 => {
            world.violate("the client was cancelled by nobody");
        }
        (_, Some(wanted)) => {
            if found.output.iter().any(|line| wanted.output.binary_search(line).is_err()) {
                world.violate("the client has what is not of its export");
            }
            let retention = i64::try_from(world.scenario.config.retention_seconds).unwrap_or(i64::MAX) * SECOND;
            // A job is complete a little before it is stored.
            let is_past = |at: i64| world.time.now() + 10 * SECOND >= at + retention;
            let was_over = facts.is_some_and(|facts| facts.over.is_some() || facts.completed.is_some_and(is_past));
            let is_excused = was_over || EXCUSES.iter().any(|fault| world.scenario.may(*fault));
            if !is_excused {
                world.violate(format!("the export was complete, and the client is not: {:?}", report.outcome));
            }
        }
        (_, None) => {
            // Of a kick-off whose answer it lost, it knows no more than that there is no place for another.
            let has_no_place = driver.polled.is_none() && !ledger.jobs.is_empty();
            let failed = facts.is_some_and(|facts| facts.over.is_some());
            if !failed && !has_no_place && !EXCUSES.iter().any(|fault| world.scenario.may(*fault)) {
                world.violate("the client gave up before the export did");
            }
        }
    }
}

/// All lines of all files that were kept.
fn found(disk: &Disk) -> Contents {
    let mut found = Contents::default();
    for (name, file) in disk.files.iter().filter(|(name, _)| !name.ends_with(".part")) {
        for line in String::from_utf8_lossy(file).lines().filter(|line| !line.is_empty()) {
            match name.split('/').next() {
                Some("error") => found.errors.push(place(line)),
                Some("deleted") => found.deleted.push(line.to_owned()),
                _ => found.output.push(line.to_owned()),
            }
        }
    }
    [&mut found.output, &mut found.errors, &mut found.deleted].into_iter().for_each(|part| part.sort());
    found
}

/// After which a client may end without a complete export, though there is one.
const EXCUSES: [Fault; 10] = [
    Fault::RequestLost,
    Fault::ResponseLost,
    Fault::DownloadCut,
    Fault::TokenRefused,
    Fault::ClientCancels,
    Fault::HostCrash,
    Fault::StoreUnavailable,
    Fault::StoreAnswerLost,
    Fault::ClockJump,
    Fault::FastPolls,
];

const POLLS_MAX: u64 = 300_000;
