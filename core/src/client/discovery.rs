//! What the server is: CapabilityStatement and SMART configuration. Nothing depends on it; it is told and logged.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Client, FailureReason, Finding, Task, Url, state::Event};
use crate::{http::Reply, time::Timestamp};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    fhir_version: Option<String>,
    software: Option<Software>,
    #[serde(default)]
    rest: Vec<Rest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Software {
    name: Option<String>,
    version: Option<String>,
    release_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rest {
    #[serde(default)]
    resource: Vec<Resource>,
    #[serde(default)]
    search_param: Vec<SearchParameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(rename = "type")]
    resource_type: Option<String>,
    #[serde(default)]
    search_param: Vec<SearchParameter>,
}

#[derive(Deserialize)]
struct SearchParameter {
    name: Option<String>,
    #[serde(default)]
    extension: Vec<Extension>,
}

#[derive(Deserialize)]
struct Extension {
    url: Option<String>,
}

impl SearchParameter {
    /// BD-CAP-05: it may be one for searches only.
    fn is_for_exports(&self) -> bool {
        let not_for_exports = |extension: &Extension| {
            extension.url.as_deref().is_some_and(|url| url.ends_with("/operation-not-supported"))
        };
        !self.extension.iter().any(not_for_exports)
    }
}

#[derive(Deserialize)]
struct SmartConfiguration {
    token_endpoint: Option<String>,
}

impl Client {
    pub(super) fn discovered(&mut self, task: Task, reply: Reply<'_>, now: Timestamp) {
        let read = if reply.status == 200 { self.read_discovery(task, reply) } else { Err(FailureReason::Refused) };
        if let Err(reason) = read {
            self.record.find(Finding::NotDiscovered { reason });
        }
        self.after_discovery(task, now);
    }

    pub(super) fn after_discovery(&mut self, task: Task, now: Timestamp) {
        self.control = None;
        if task == Task::Metadata {
            self.begin(Task::SmartConfiguration, now);
        } else {
            self.enter(Event::Discovered);
        }
    }

    fn read_discovery(&mut self, task: Task, reply: Reply<'_>) -> Result<(), FailureReason> {
        self.check_media_type(reply, task.step());
        let unreadable = |_| FailureReason::UnexpectedStatus;
        if task == Task::Metadata {
            let capabilities: Capabilities = serde_json::from_slice(reply.body).map_err(unreadable)?;
            self.check_search_parameters(&capabilities);
            let server = &mut self.record.head_mut().server;
            server.fhir_version = capabilities.fhir_version.map(short);
            if let Some(software) = capabilities.software {
                server.software_name = software.name.map(short);
                server.software_version = software.version.map(short);
                server.software_release_date = software.release_date.map(short);
            }
        } else {
            let configuration: SmartConfiguration = serde_json::from_slice(reply.body).map_err(unreadable)?;
            // SM-WK-02: absolute; a relative one is resolved against the base.
            let base = Url::parse(&self.record.plan.policy.base.join("")).map_err(FailureReason::Url)?;
            let endpoint = configuration.token_endpoint.map(|text| base.resolve(&text)).transpose();
            self.record.head_mut().server.token_endpoint = endpoint.map_err(FailureReason::Url)?;
        }
        Ok(())
    }

    /// BD-TF-16.
    fn check_search_parameters(&mut self, capabilities: &Capabilities) {
        let queries = &self.record.plan.queries;
        let mut undeclared = BTreeSet::new();
        for query in queries {
            let wanted = query.resource_type().as_str();
            let resources = || capabilities.rest.iter().flat_map(|rest| &rest.resource);
            let of_type = resources().filter(|one| one.resource_type.as_deref() == Some(wanted));
            let common = capabilities.rest.iter().flat_map(|rest| &rest.search_param);
            let declared = of_type.flat_map(|one| &one.search_param).chain(common);
            let declared = declared.filter(|one| one.is_for_exports());
            let declared: BTreeSet<_> = declared.filter_map(|one| one.name.as_deref()).collect();
            // A chained name's own code is of another type.
            for criterion in query.criteria().iter().filter(|one| one.name().links().is_empty()) {
                let code = criterion.name().code();
                if !declared.is_empty() && !declared.contains(code) {
                    undeclared.insert((wanted.to_owned(), code.to_owned()));
                }
            }
        }
        for (resource_type, name) in undeclared {
            self.record.find(Finding::UndeclaredSearchParameter { resource_type, name });
        }
    }
}

fn short(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
