//! Job records, and what happens to the jobs in them.
//!
//! The first part is a record. Each further one begins with a time in milliseconds and a space; then comes `timeout`, a
//! method and a target as in `GET /fhir/bulk/…`, or a command as JSON.

use ehi_core::{
    Edition, Timestamp,
    http::Request,
    job::{Command, Job, PollAccount},
};

use crate::{
    deployment::{bearer, endpoint},
    input::parts,
    response::check,
};

/// What is no record is refused; what is one is the same after it was stored, whatever happened to it; and a command that
/// is not taken changes nothing.
pub fn job(data: &[u8]) {
    let mut parts = parts(data).into_iter();
    let Some(Ok(record)) = parts.next().map(std::str::from_utf8) else { return };
    let Ok(mut job) = Job::decode(record) else { return };
    let mut account = PollAccount::default();
    is_sound(&job, Timestamp::from_millis(0));
    for part in parts.take(STEPS_MAX) {
        let Some((time, what)) = std::str::from_utf8(part).ok().and_then(|part| part.split_once(' ')) else { continue };
        let Ok(now) = time.parse().map(Timestamp::from_millis) else { continue };
        let before = job.clone();
        if what == "timeout" {
            let effects = job.handle_timeout(now);
            assert!(effects.job || job == before);
        } else if let Ok(command) = serde_json::from_str::<Command>(what) {
            let written = serde_json::to_string(&command).expect("a command can be written");
            assert_eq!(serde_json::from_str::<Command>(&written).expect("and read"), command);
            match job.apply(command, now) {
                Ok((_, effects)) => assert!(effects.job),
                Err(misuse) => {
                    assert!(!misuse.to_string().is_empty());
                    assert_eq!(job, before);
                }
            }
        } else if let Some((method, target)) = what.split_once(' ') {
            let request = Request { method, target, headers: &[], body: b"" };
            let endpoint = endpoint(Edition::Stu3, false);
            let (response, effects) = job.handle_request(endpoint, &request, &bearer(false), &mut account, now);
            check(&response);
            assert!(effects.job || job == before);
            let written = serde_json::to_string(&account).expect("an account can be written");
            assert_eq!(serde_json::from_str::<PollAccount>(&written).expect("and read"), account);
        }
        is_sound(&job, now);
    }
}

/// It survives being stored, and what is asked of it is answered.
fn is_sound(job: &Job, now: Timestamp) {
    let record = job.encode();
    let again = Job::decode(&record).expect("what was stored is read");
    assert_eq!(&again, job);
    assert_eq!(again.encode(), record);
    for now in [now, Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)] {
        for holder in ["host", "another"] {
            assert_eq!(again.wants(holder, now), job.wants(holder, now));
        }
        let mut later = job.clone();
        later.handle_timeout(now);
        assert_eq!(Job::decode(&later.encode()), Ok(later));
    }
    let head = serde_json::to_string(&job.manifest_head()).expect("a head can be written");
    assert_eq!(serde_json::from_str(&head).ok(), Some(job.manifest_head()));
    assert_eq!(job.wake_at(), again.wake_at());
}

/// No export has more steps that differ.
const STEPS_MAX: usize = 24;
