//! Keeping the lease of a job for as long as the work goes on, whatever it is busy with; and noticing that it is lost.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use ehi_core::job::{Command, Epoch};

use super::{Exporter, run::expire};

/// A lease that is being kept.
pub(super) struct Lease<'l> {
    lost: &'l AtomicBool,
}

impl Lease<'_> {
    /// Fails once the lease is another's, or the job has ended: what is still written would be for nothing.
    pub(super) fn check(&self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) {
            bail!("the lease is lost");
        }
        Ok(())
    }
}

/// Works under a lease, and renews it every so often until the work ends. A job that has been at work for longer than it
/// may is ended on the way: where there is one host, nobody else would.
pub(super) fn keep<T>(
    exporter: &Exporter,
    job: &str,
    epoch: Epoch,
    every: Duration,
    work: impl FnOnce(&Lease<'_>) -> Result<T>,
) -> Result<T> {
    let lost = AtomicBool::new(false);
    thread::scope(|scope| {
        let (working, ended) = mpsc::channel::<()>();
        scope.spawn(|| beat(exporter, job, epoch, every, ended, &lost));
        let outcome = work(&Lease { lost: &lost });
        drop(working);
        outcome
    })
}

fn beat(exporter: &Exporter, job: &str, epoch: Epoch, every: Duration, ended: Receiver<()>, lost: &AtomicBool) {
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = renew(exporter, job, epoch) {
            tracing::info!(error = format!("{error:#}"), "the lease of an export is not renewed");
            lost.store(true, Ordering::Relaxed);
            return;
        }
    }
}

fn renew(exporter: &Exporter, job: &str, epoch: Epoch) -> Result<()> {
    expire(exporter, job)?;
    exporter.command(job, &Command::Renew { epoch, until: exporter.lease() }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ehi_core::{
        Endpoint, Timestamp,
        access::Principal,
        endpoint::{Auth, EndpointConfig},
        job::Job,
        kick_off::Facts,
        values::{Accepted, Decided, RequestHead, Routed},
        writer::WriterLimits,
    };

    use super::*;
    use crate::{
        clock,
        engine::{Engines, Native},
        files::Files,
        source::Folder,
        store::JobStore,
    };

    #[test]
    fn a_lease_is_kept_while_the_work_goes_on() {
        with_job(EndpointConfig::new("https://ehr.example/fhir", Auth::None), |exporter, job, epoch| {
            let until = || Job::decode(&exporter.store.load(job).unwrap().unwrap().record).unwrap().wake_at();
            let before = until();
            keep(exporter, job, epoch, BEAT, |lease| {
                wait_for(|| until() > before);
                lease.check()
            })
            .unwrap();
        });
    }

    #[test]
    fn work_notices_that_its_job_was_ended() {
        with_job(EndpointConfig::new("https://ehr.example/fhir", Auth::None), |exporter, job, epoch| {
            let outcome = keep(exporter, job, epoch, BEAT, |lease| {
                lease.check().unwrap();
                exporter.fail(job, epoch, "ended by somebody else").unwrap();
                wait_for(|| lease.check().is_err());
                lease.check()
            });
            assert!(outcome.is_err());
        });
    }

    #[test]
    fn work_that_takes_longer_than_it_may_is_ended() {
        let config = EndpointConfig { run_seconds: 1, ..EndpointConfig::new("https://ehr.example/fhir", Auth::None) };
        with_job(config, |exporter, job, epoch| {
            let outcome = keep(exporter, job, epoch, BEAT, |lease| {
                wait_for(|| lease.check().is_err());
                lease.check()
            });
            assert!(outcome.is_err());
            let failed = Job::decode(&exporter.store.load(job).unwrap().unwrap().record).unwrap();
            assert!(failed.failure().is_some());
        });
    }

    /// A job that has begun.
    fn with_job(config: EndpointConfig, test: impl FnOnce(&Exporter, &str, Epoch)) {
        let folder = tempfile::tempdir().unwrap();
        let engines: Arc<dyn Engines> = Arc::new(Native::new(Endpoint::new(config).unwrap()));
        let source = Folder::open(folder.path(), &folder.path().join("catalogue"), "https://ehr.example/fhir", 1 << 20);
        let exporter = Exporter {
            engines: Arc::clone(&engines),
            source: Arc::new(source.unwrap()),
            store: Arc::new(JobStore::in_memory().unwrap()),
            files: Files::plain(folder.path()).unwrap(),
            limits: WriterLimits::default(),
            audit: None,
        };
        let mut engine = engines.instance().unwrap();
        let head = RequestHead { method: "GET".into(), target: "/fhir/$export".into(), headers: Vec::new() };
        let routed = engine.route(&head, b"", &Principal::Open).unwrap();
        let Routed::KickOff { kick_off, .. } = routed else { panic!("not a kick-off") };
        let facts = Facts { active_jobs: Some(0), ..Facts::default() };
        let decided = engine.decide(&kick_off, &Principal::Open, &facts, [7; 16], clock::now_millis()).unwrap();
        let Decided::Accepted(Accepted { id, job, .. }) = decided else { panic!("refused") };
        let id = id.to_string();
        exporter.store.insert(&id, &job).unwrap();
        let begin = Command::Begin {
            holder: exporter.store.holder().to_owned(),
            until: clock::now().plus_seconds(1),
            transaction_time: clock::now(),
            snapshot: String::new(),
            partitions: 1,
        };
        let epoch = exporter.command(&id, &begin).unwrap().epoch;
        test(&exporter, &id, epoch);
    }

    fn wait_for(condition: impl Fn() -> bool) {
        let begun = Timestamp::from_millis(clock::now_millis());
        while !condition() {
            assert!(clock::now().seconds_since(begun) < 20, "nothing happened in 20 seconds");
            thread::sleep(BEAT);
        }
    }

    const BEAT: Duration = Duration::from_millis(20);
}
