//! The front of a host: a request as bytes to core and back, with everything stored before it is answered.

use std::rc::Rc;

use ehi_core::{
    Timestamp,
    access::Principal,
    endpoint::Downloads,
    http::{Body, Response},
    job::{Job, State},
    kick_off::{Facts, Need},
    manifest::{ManifestWriter, OutputFile},
    values::{self, Decided, RequestHead, Routed},
};

use crate::{
    coverage::Fault,
    host::{Host, Pulse},
    mutant::Mutant,
    people,
    store::Loaded,
    wire::{Answer, Asked},
    world::{HOSTS, Stop, World},
};

/// Who is on the other side of a connection, by the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The client that starts exports.
    Owner,
    /// Another client with the same scopes.
    Other,
    /// A client whose scopes cover nothing of it.
    Stranger,
}

impl Who {
    /// A token, which ends then.
    pub(crate) fn token(self, expires: i64) -> String {
        format!("{self:?}.{expires}")
    }

    /// The client that someone must not be told of an export.
    pub(crate) fn uninvited(world: &World) -> Self {
        if world.scenario.config.downloads == Downloads::Scope { Self::Stranger } else { Self::Other }
    }
}

/// Answers a request on one of the hosts; nothing if the host crashed meanwhile.
pub(crate) async fn answer(world: &Rc<World>, request: &[u8]) -> Option<Vec<u8>> {
    let number = usize::try_from(world.pick(0..2)).unwrap_or_default().min(HOSTS - 1);
    let host = Host { world: Rc::clone(world), number, pulse: Rc::new(Pulse::default()) };
    let asked = Asked::parse(request)?;
    let answered = Front { host: &host, asked: &asked }.answer().await;
    match answered {
        Ok(answer) => Some(answer.to_bytes()),
        Err(Stop::Crash) => None,
        Err(Stop::Error | Stop::Refused(_) | Stop::NoJob) => Some(failure().to_bytes()),
    }
}

/// One request on one host.
struct Front<'f> {
    host: &'f Host,
    asked: &'f Asked,
}

impl Front<'_> {
    async fn answer(&self) -> Result<Answer, Stop> {
        let world = &self.host.world;
        let now = world.clock(self.host.number);
        let principal = self.principal(now);
        let head = self.head();
        match values::route(&world.endpoint, &head, &self.asked.body, &principal) {
            Routed::Respond(response) => Ok(plain(response)),
            Routed::KickOff { kick_off, needs } => {
                let facts = self.facts(&needs).await?;
                let entropy = world.rng(|rng| rng.u128(..)).to_le_bytes();
                let now = world.clock(self.host.number).as_millis();
                match values::decide(&world.endpoint, *kick_off, &principal, &facts, entropy, now) {
                    Decided::Refused(response) => {
                        world.note(|| format!("kick-off refused: {}", response.status));
                        if response.status == 429 {
                            world.met(Fault::JobLimitMet);
                        }
                        Ok(plain(response))
                    }
                    Decided::Accepted(accepted) => self.accept(accepted).await,
                }
            }
            Routed::LookUp(_) => {
                world.violate("what asks for an export was taken for a look-up");
                Err(Stop::Error)
            }
            Routed::Job(id) => self.job(&id.to_string(), &principal).await,
        }
    }

    async fn accept(&self, accepted: values::Accepted) -> Result<Answer, Stop> {
        let id = accepted.id.to_string();
        let stored = self.host.act(|world| {
            world.store.borrow_mut().insert(&id, accepted.job.clone());
            let state = Job::decode(&accepted.job.record).map_or(State::Queued, |job| job.state());
            world.accepted(&id, state);
        });
        let stored = stored.await;
        // Stored or not, people and others may hear of it.
        if self.host.world.ledger.borrow().jobs.contains_key(&id) {
            people::attend(&self.host.world, &id);
            self.host.world.time.notify();
        }
        stored.map(|()| plain(accepted.response))
    }

    async fn job(&self, id: &str, principal: &Principal) -> Result<Answer, Stop> {
        let (world, began) = (&self.host.world, self.host.world.time.now());
        let head = self.head();
        for _ in 0..ATTEMPTS {
            let Some(loaded) = self.host.call(|store| store.load(id)).await? else {
                return Ok(plain(world.endpoint.not_found()));
            };
            let client = match principal {
                Principal::Known { .. } if world.is(Mutant::AccountShared) => "all",
                Principal::Known { client, .. } => client.as_str(),
                Principal::Anonymous | Principal::Open => "",
            };
            let account = self.host.call(|store| store.account(id, client)).await?;
            let account = if world.strikes(Fault::AccountLost) { Default::default() } else { account };
            let now = self.now(id);
            let loaded = self.cut(loaded);
            let answered = values::handle_request(
                &world.endpoint,
                &loaded.record,
                account,
                &head,
                &self.asked.body,
                principal,
                now.as_millis(),
            )
            .map_err(Stop::Refused)?;
            if let Some(account) = answered.account {
                self.host.call(|store| store.set_account(id, client, account)).await?;
            }
            let is_deletion = self.asked.method == "DELETE";
            if let Some(job) = answered.job.as_ref().filter(|_| !(is_deletion && world.is(Mutant::AnswerBeforeStore)))
                && !self.host.update(id, job, &[], loaded.version, "request").await?
            {
                world.met(Fault::WriteConflict);
                continue;
            }
            let response = match &answered.response.body {
                Body::Row(name) => match self.host.call(|store| store.row(id, name)).await? {
                    Some(file) => self.file(id, &loaded.record, file, &head)?,
                    None => world.endpoint.not_found(),
                },
                _ => answered.response,
            };
            self.judge(id, &response, principal, began);
            return self.whole(id, &loaded.record, response).await;
        }
        Err(Stop::Error)
    }

    /// What is answered is held against what really happened.
    fn judge(&self, id: &str, response: &Response, principal: &Principal, began: i64) {
        let world = &self.host.world;
        if self.asked.method == "DELETE" {
            if response.status == 202
                && let Some(facts) = world.ledger.borrow_mut().jobs.get_mut(id)
            {
                facts.over.get_or_insert(world.time.now());
            }
            return;
        }
        if matches!(response.status, 200 | 206) || matches!(response.body, Body::Manifest(_)) {
            world.served(id, began);
        }
        let is_owner = matches!(principal, Principal::Known { client, .. } if *client == format!("{:?}", Who::Owner));
        let is_unfinished =
            world.ledger.borrow().jobs.get(id).is_some_and(|facts| facts.completed.or(facts.over).is_none());
        if response.status == 429 && is_owner && is_unfinished && world.scenario.is_calm() {
            world.violate("a client that waits as it is told was told to wait");
        }
    }

    /// What is answered to who asks for a file that there is.
    fn file(&self, id: &str, record: &str, file: OutputFile, head: &RequestHead) -> Result<Response, Stop> {
        let world = &self.host.world;
        let is_open_served = world.is(Mutant::OpenPageServed);
        let page = file.page;
        let file = OutputFile { page: page.filter(|_| !is_open_served).or(is_open_served.then_some(1)), ..file };
        let response = values::serve_file(record, &file, head).map_err(Stop::Refused)?;
        if matches!(response.status, 200 | 206) {
            world.shown(id, page);
        }
        Ok(response)
    }

    /// The response with its body.
    async fn whole(&self, id: &str, record: &str, response: Response) -> Result<Answer, Stop> {
        let body = match &response.body {
            Body::Empty | Body::Row(_) => Vec::new(),
            Body::Text(text) => text.clone().into_bytes(),
            Body::Manifest(head) => {
                let rows = self.host.call(|store| store.rows_of(id, head)).await?;
                let mut manifest = ManifestWriter::new((**head).clone());
                let mut out = Vec::new();
                for row in &rows {
                    if manifest.row(row, &mut out).is_err() {
                        self.host.world.violate("a row does not fit into its manifest");
                    }
                }
                manifest.finish(&mut out);
                self.host.world.listed(id, record, head, &rows, &out);
                out
            }
            Body::Object { key, range, .. } => {
                let object = self.host.call(|store| store.get(key)).await?.ok_or(Stop::Error)?;
                let (from, to) = range.unwrap_or((0, object.len() as u64));
                let part = usize::try_from(from).ok().zip(usize::try_from(to).ok());
                part.and_then(|(from, to)| object.get(from..to)).ok_or(Stop::Error)?.to_vec()
            }
        };
        Ok(Answer { status: response.status, headers: response.headers, body })
    }

    /// The job as it was read; by one mutant with the page in the making closed, for whoever asks.
    fn cut(&self, mut loaded: Loaded) -> Loaded {
        if self.host.world.is(Mutant::PageCutAtPoll) {
            let mut record: serde_json::Value = serde_json::from_str(&loaded.record).unwrap_or_default();
            let open = record["pages"]["open"].as_u64();
            if let Some(open) = open.filter(|_| record["pages"]["files"] != 0) {
                record["pages"]["open"] = (open + 1).into();
                loaded.record = record.to_string();
            }
        }
        loaded
    }

    fn principal(&self, now: Timestamp) -> Principal {
        let world = &self.host.world;
        let token = self.asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some((name, expires)) = token.and_then(|token| token.split_once('.')) else { return Principal::Anonymous };
        let owner = format!("{:?}", Who::Owner);
        if name == owner && world.strikes(Fault::TokenRefused) {
            return Principal::Anonymous;
        }
        let name = if world.is(Mutant::WrongOwnerCheck) { &owner } else { name };
        let is_patient = world.scenario.ask.is_ehi && world.scenario.hosts == 2;
        let scopes: &[&str] = match name {
            "Stranger" => &["system/Device.read"],
            _ if is_patient => &["patient/$ehi-export"],
            _ => &["system/*.read", "system/$ehi-export"],
        };
        Principal::Known {
            client: name.to_owned(),
            user: None,
            patient: is_patient.then(|| ehi_core::Sensitive::new("p0".into())),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            roles: Vec::new(),
            expires: expires.parse().map_or(now, Timestamp::from_millis),
        }
    }

    async fn facts(&self, needs: &[Need]) -> Result<Facts, Stop> {
        let mut facts = Facts::default();
        for need in needs {
            match need {
                Need::Patient(id) => facts.patients.extend(["p0", "p1"].contains(&id.as_str()).then(|| id.clone())),
                Need::Group(id) => facts.groups.extend((id == "g1").then(|| id.clone())),
                // No request here lists patients, names a practitioner or asks by a ValueSet.
                Need::Patients(_) | Need::Members { .. } | Need::Practitioner(_) | Need::ValueSet(_) => {}
                Need::PatientAccess { .. } | Need::GroupAccess { .. } | Need::PractitionerAccess { .. } => {}
                Need::ActiveJobs { client } => {
                    facts.active_jobs = Some(self.host.call(|store| store.active(client.as_deref())).await?);
                }
            }
        }
        Ok(facts)
    }

    fn now(&self, id: &str) -> Timestamp {
        let world = &self.host.world;
        let completed = world.ledger.borrow().jobs.get(id).and_then(|facts| facts.completed);
        match completed {
            Some(at) if world.is(Mutant::ExpiredStillServed) => Timestamp::from_millis(at),
            _ => world.clock(self.host.number),
        }
    }

    fn head(&self) -> RequestHead {
        let Asked { method, target, headers, .. } = self.asked.clone();
        RequestHead { method, target, headers }
    }
}

fn plain(response: Response) -> Answer {
    let body = match response.body {
        Body::Text(text) => text.into_bytes(),
        _ => Vec::new(),
    };
    Answer { status: response.status, headers: response.headers, body }
}

/// What a host says when it failed itself.
fn failure() -> Answer {
    let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}"#;
    Answer { body: outcome.into(), ..Answer::new(500) }.with("content-type", "application/fhir+json")
}

const ATTEMPTS: u32 = 100;
