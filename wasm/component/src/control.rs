//! Interface `control`.

use std::cell::RefCell;

use ehi_core::{endpoint::EndpointConfig, manifest::ManifestWriter, values};

use crate::{
    Engine,
    bindings::exports::ehi::exporter::control::{
        Answered, Applied, Command, Decided, Endpoint, Facts, Found, Guest, GuestEndpoint, GuestManifestWriter,
        ManifestWriter as ManifestHandle, Millis, OutputFile, PollAccount, Principal, Request, Response, Routed,
        SetWanted, StoredJob, Wants,
    },
    convert::{self, Converted},
};

/// An endpoint of this instance.
pub(crate) struct EndpointCell(ehi_core::Endpoint);

/// A manifest writer of this instance.
pub(crate) struct ManifestCell(RefCell<ManifestWriter>);

impl Guest for Engine {
    type Endpoint = EndpointCell;
    type ManifestWriter = ManifestCell;

    fn serve_file(record: String, file: OutputFile, request: Request) -> Converted<Response> {
        let served = values::serve_file(&record, &convert::file(file)?, &convert::head(&request));
        served.map(convert::from_response).map_err(text)
    }

    fn handle_timeout(record: String, now: Millis) -> Converted<Option<StoredJob>> {
        values::handle_timeout(&record, now).map(|job| job.map(convert::from_stored)).map_err(text)
    }

    fn job_wants(record: String, holder: String, now: Millis) -> Converted<Wants> {
        values::wants(&record, &holder, now).map(convert::from_wants).map_err(text)
    }

    fn apply(record: String, command: Command, now: Millis) -> Converted<Applied> {
        values::apply(&record, convert::command(command)?, now).map(convert::from_applied).map_err(text)
    }

    fn plan(record: String) -> Converted<String> {
        values::plan(&record).map(|plan| convert::opaque(&plan)).map_err(text)
    }

    fn sets_wanted(plan: String, pass: String) -> Converted<Vec<SetWanted>> {
        let (plan, pass) = (convert::from_opaque(&plan, "plan")?, convert::from_opaque(&pass, "pass")?);
        Ok(values::sets_wanted(&plan, pass).iter().map(convert::from_set_wanted).collect())
    }

    fn manifest_head(record: String) -> Converted<String> {
        values::manifest_head(&record).map(|head| convert::opaque(&head)).map_err(text)
    }
}

impl GuestEndpoint for EndpointCell {
    fn open(config: String) -> Converted<Endpoint> {
        let config = EndpointConfig::from_json(&config).map_err(text)?;
        ehi_core::Endpoint::new(config).map(|endpoint| Endpoint::new(Self(endpoint))).map_err(text)
    }

    fn route(&self, request: Request, principal: Principal) -> Converted<Routed> {
        let principal = convert::principal(principal)?;
        Ok(convert::from_routed(values::route(&self.0, &convert::head(&request), &request.body, &principal)))
    }

    fn decide(
        &self,
        kick_off: String,
        principal: Principal,
        facts: Facts,
        entropy: Vec<u8>,
        now: Millis,
    ) -> Converted<Decided> {
        let kick_off = convert::from_opaque(&kick_off, "kick-off")?;
        let entropy = entropy.try_into().map_err(|_| "entropy must be 16 bytes")?;
        let principal = convert::principal(principal)?;
        Ok(convert::from_decided(values::decide(&self.0, kick_off, &principal, &convert::facts(facts), entropy, now)))
    }

    fn look_up(&self, look_up: String, principal: Principal, found: Found, now: Millis) -> Converted<Response> {
        let look_up = convert::from_opaque(&look_up, "look-up")?;
        let (principal, found) = (convert::principal(principal)?, convert::found(found));
        Ok(convert::from_response(values::look_up(&self.0, &look_up, &principal, found, now)))
    }

    fn not_found(&self) -> Response {
        convert::from_response(values::not_found(&self.0))
    }

    fn handle_request(
        &self,
        record: String,
        account: PollAccount,
        request: Request,
        principal: Principal,
        now: Millis,
    ) -> Converted<Answered> {
        let (account, head, principal) =
            (convert::account(account), convert::head(&request), convert::principal(principal)?);
        let answered = values::handle_request(&self.0, &record, account, &head, &request.body, &principal, now);
        answered.map(convert::from_answered).map_err(text)
    }
}

impl GuestManifestWriter for ManifestCell {
    fn open(head: String) -> Converted<ManifestHandle> {
        let head = convert::from_opaque(&head, "manifest head")?;
        Ok(ManifestHandle::new(Self(RefCell::new(ManifestWriter::new(head)))))
    }

    fn row(&self, file: OutputFile) -> Converted<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.borrow_mut().row(&convert::file(file)?, &mut bytes).map_err(text)?;
        Ok(bytes)
    }

    fn finish(this: ManifestHandle) -> Vec<u8> {
        let mut bytes = Vec::new();
        this.into_inner::<Self>().0.into_inner().finish(&mut bytes);
        bytes
    }
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}
