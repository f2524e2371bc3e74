//! Manifests in pages, from the kick-off to the last page.

use super::*;
use crate::{
    manifest::{ManifestWriter, Section},
    writer::{Checkpoint, Resume},
};

/// An export, and the rows that its host has stored.
struct Export {
    endpoint: Endpoint,
    job: Job,
    principal: Principal,
    account: PollAccount,
    epoch: Epoch,
    rows: Vec<OutputFile>,
}

impl Export {
    /// One that a host works on, of a deployment of 3.0 that closes a page with its second file, or after a minute, and shows
    /// it at once.
    fn begun(change: impl FnOnce(&mut Value)) -> Self {
        Self::asked("/fhir/$export?allowPartialManifests=true", change)
    }

    fn asked(target: &str, change: impl FnOnce(&mut Value)) -> Self {
        Self::sent("GET", target, "", |config| {
            config["partialManifests"]["early"] = json!("always");
            change(config);
        })
    }

    /// One of a deployment that says of pages only when they are closed.
    fn sent(method: &str, target: &str, body: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut config = json!({
            "baseUrl": "https://ehr.example/fhir",
            "auth": "bearer",
            "partialManifests": { "files": 2, "seconds": 60 },
        });
        change(&mut config);
        let (endpoint, principal) = (endpoint(&config), known(&["system/*.rs"], None));
        let (mut job, _) = kick_off(&endpoint, method, target, body, &principal).unwrap();
        let begin = Command::Begin {
            holder: "h".into(),
            until: at(1_000_000),
            transaction_time: at(1),
            snapshot: String::new(),
            partitions: 2,
        };
        let (epoch, _) = job.apply(begin, at(1)).unwrap();
        Self { endpoint, job, principal, account: PollAccount::default(), epoch, rows: Vec::new() }
    }

    /// Publishes a file, and says on which page it is.
    fn publish(&mut self, name: &str, seconds: u64) -> Option<u32> {
        self.publish_row(0, row(name), seconds)
    }

    fn publish_all(&mut self, names: &[&str], seconds: u64) {
        for name in names {
            self.publish(name, seconds);
        }
    }

    fn publish_row(&mut self, partition: u32, row: OutputFile, seconds: u64) -> Option<u32> {
        let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
        let publish = Command::Publish { epoch: self.epoch, partition, rows: vec![row], checkpoint };
        let (_, effects) = self.job.apply(publish, at(seconds)).unwrap();
        self.rows.extend(effects.rows);
        self.rows.last().unwrap().page
    }

    fn finish(&mut self, seconds: u64) {
        let Wants::Run { partitions, .. } = self.job.wants("h", at(seconds)) else { panic!("it is to be run") };
        for task in partitions {
            let finish = Command::FinishPartition { epoch: self.epoch, partition: task.partition };
            self.job.apply(finish, at(seconds)).unwrap();
        }
    }

    fn ask(&mut self, below: &str, seconds: u64) -> Response {
        let target = format!("/fhir/bulk/{}{below}", self.job.id());
        let request = Request { method: "GET", target: &target, headers: &[], body: b"" };
        let Route::Job(_) = self.endpoint.route(&request, &self.principal) else { panic!("no address of a job") };
        let (response, effects) =
            self.job.handle_request(&self.endpoint, &request, &self.principal, &mut self.account, at(seconds));
        assert!(!effects.job, "who asks changes nothing");
        match &response.body {
            Body::Row(name) => match self.rows.iter().find(|row| row.name == *name) {
                Some(row) => self.job.serve_file(row, &request),
                None => self.endpoint.not_found(),
            },
            _ => response,
        }
    }

    /// The status, and the manifest if there is one.
    fn manifest(&mut self, below: &str, seconds: u64) -> (u16, Option<Value>) {
        let response = self.ask(below, seconds);
        let Body::Manifest(head) = response.body.clone() else { return (response.status, None) };
        assert_eq!(response.header("content-type"), Some("application/json"));
        let mut out = Vec::new();
        let mut writer = ManifestWriter::new((*head).clone());
        let mut rows: Vec<_> = self.rows.iter().filter(|row| head.takes(row)).collect();
        rows.sort_by_key(|row| row.section);
        rows.into_iter().for_each(|row| writer.row(row, &mut out).unwrap());
        writer.finish(&mut out);
        (response.status, Some(serde_json::from_slice(&out).unwrap()))
    }

    fn poll(&mut self, seconds: u64) -> (u16, Option<Value>) {
        self.manifest("", seconds)
    }

    fn file(&mut self, name: &str, seconds: u64) -> u16 {
        self.ask(&format!("/files/{name}"), seconds).status
    }
}

fn row(name: &str) -> OutputFile {
    let is_error = name.starts_with("error");
    OutputFile {
        section: if is_error { Section::Error } else { Section::Output },
        resource_type: crate::Definitions::R4.resource_type(if is_error { "OperationOutcome" } else { "Patient" }),
        name: name.to_owned(),
        key: format!("1/{name}"),
        content_type: None,
        count: 1,
        bytes: 10,
        gzip_bytes: None,
        sha256: None,
        continues_in_file: None,
        page: None,
    }
}

/// The names of the files that a manifest lists.
fn listed(manifest: &Value) -> Vec<String> {
    let rows =
        ["output", "deleted", "error", "outcome"].map(|array| manifest[array].as_array().cloned().unwrap_or_default());
    let name = |row: &Value| row["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    rows.concat().iter().map(name).collect()
}

fn without(manifest: &Value, members: &[&str]) -> Value {
    let mut left = manifest.clone();
    members.iter().for_each(|member| drop(left.as_object_mut().unwrap().remove(*member)));
    left
}

/// BD-PART-02 to BD-PART-05, BD-MAN-26.
#[test]
fn pages_grow_while_the_export_runs_and_none_that_was_seen_changes() {
    let mut export = Export::begun(|_| {});
    assert_eq!(export.publish("a.ndjson", 2), Some(1));
    assert_eq!(export.poll(3), (202, None), "no page is closed");
    assert_eq!(export.file("a.ndjson", 3), 404, "no page lists it");
    assert_eq!(export.publish("error-1.ndjson", 4), Some(1));

    let response = export.ask("", 5);
    assert!(response.header("retry-after").is_some() && response.header("x-progress").is_some());
    assert!(response.header("expires").is_none(), "nobody knows yet");
    let (status, first) = export.poll(6);
    let first = first.unwrap();
    assert_eq!((status, listed(&first)), (202, vec!["a.ndjson".to_owned(), "error-1.ndjson".to_owned()]));
    assert!(first.get("link").is_none());
    assert_eq!([export.file("a.ndjson", 6), export.file("error-1.ndjson", 6)], [200, 200], "BD-PART-03");

    assert_eq!(export.publish("b.ndjson", 7), Some(2));
    assert_eq!(export.poll(8).1.as_ref(), Some(&first));
    assert_eq!((export.file("b.ndjson", 8), export.manifest("/manifests/2", 8)), (404, (404, None)));
    assert_eq!(export.publish("c.ndjson", 9), Some(2));
    let (_, linked) = export.poll(10);
    let linked = linked.unwrap();
    let next = format!("https://ehr.example/fhir/bulk/{}/manifests/2", export.job.id());
    assert_eq!(linked["link"], json!([{ "relation": "next", "url": next }]), "BD-MAN-26");
    assert_eq!(without(&linked, &["link"]), first, "BD-PART-04");
    let (status, second) = export.manifest("/manifests/2", 10);
    let second = second.unwrap();
    assert_eq!((status, listed(&second), second.get("link")), (200, vec!["b.ndjson".into(), "c.ndjson".into()], None));

    assert_eq!(export.publish("d.ndjson", 11), Some(3));
    export.finish(12);
    let complete = export.ask("", 13);
    assert!(complete.status == 200 && complete.header("expires").is_some());
    assert_eq!(export.poll(14), (200, Some(linked.clone())));
    let (_, grown) = export.manifest("/manifests/2", 14);
    assert_eq!(without(grown.as_ref().unwrap(), &["link"]), second);
    let (status, third) = export.manifest("/manifests/3", 14);
    let third = third.unwrap();
    assert_eq!((status, listed(&third), third.get("link")), (200, vec!["d.ndjson".into()], None));
    for page in [&second, &third] {
        let files = ["link", "output", "deleted", "error"];
        assert_eq!(without(page, &files), without(&first, &files));
    }
    // Each page has one address.
    for address in ["/manifests/0", "/manifests/1", "/manifests/4", "/manifests/02", "/manifests/+2", "/manifests/x"] {
        assert_eq!(export.manifest(address, 15), (404, None), "{address}");
    }
    for name in ["a.ndjson", "b.ndjson", "c.ndjson", "d.ndjson", "error-1.ndjson"] {
        assert_eq!(export.file(name, 15), 200);
    }
}

/// BD-MAN-27, and BD-PART-04 with it.
#[test]
fn in_3_0_pages_come_with_completion_and_every_one_lists_all_errors() {
    let mut export = Export::sent("GET", "/fhir/$export?allowPartialManifests=true", "", |_| {});
    let names = ["a", "error-1", "b", "c", "d", "error-2", "e", "error-3"];
    let pages = names.map(|name| export.publish(name, 2));
    assert_eq!(
        pages,
        [Some(1), None, Some(1), Some(2), Some(2), None, Some(3), None],
        "errors are on no page of their own"
    );
    export.job = Job::decode(&export.job.encode()).unwrap();
    assert_eq!((export.poll(3), export.manifest("/manifests/2", 3)), ((202, None), (404, None)));
    assert!(names.iter().all(|name| export.file(name, 3) == 404), "what no manifest lists is not there");
    export.finish(4);
    let first = export.poll(5).1.unwrap();
    let pages = [first.clone()].into_iter().chain([2, 3].map(|page| {
        let (status, manifest) = export.manifest(&format!("/manifests/{page}"), 5);
        assert_eq!(status, 200);
        manifest.unwrap()
    }));
    let pages: Vec<Value> = pages.collect();
    let listed: Vec<Vec<String>> = pages.iter().map(listed).collect();
    let errors = ["error-1", "error-2", "error-3"];
    let of_pages = [&["a", "b"][..], &["c", "d"], &["e"]].map(|output| [output, &errors].concat());
    assert_eq!(listed, of_pages);
    for page in &pages {
        let differ = ["output", "deleted", "link"];
        assert_eq!(without(page, &differ), without(&first, &differ));
    }
    assert!(names.iter().all(|name| export.file(name, 6) == 200));
    assert_eq!(export.manifest("/manifests/4", 6), (404, None));
}

#[test]
fn an_export_of_errors_alone_has_one_page() {
    let mut export = Export::sent("GET", "/fhir/$export?allowPartialManifests=true", "", |_| {});
    export.publish_all(&["error-1", "error-2", "error-3"], 2);
    export.finish(3);
    let page = export.poll(4).1.unwrap();
    assert_eq!((listed(&page).len(), page.get("link")), (3, None));
}

#[test]
fn who_saw_no_page_is_told_of_none_that_failed() {
    let mut export = Export::sent("GET", "/fhir/$export?allowPartialManifests=true", "", |_| {});
    export.publish_all(&["a", "b", "c", "d", "e"], 2);
    export.job.apply(Command::Fail { epoch: export.epoch, diagnostics: "no".into() }, at(4)).unwrap();
    assert_eq!((export.poll(5), export.manifest("/manifests/2", 5)), ((500, None), (404, None)));
}

/// BD-PART-02: `outcome` may differ there.
#[test]
fn in_the_ballot_of_4_0_pages_are_seen_while_the_export_runs() {
    let allowed = json!({ "name": "allowPartialManifests", "valueBoolean": true });
    let body = json!({ "resourceType": "Parameters", "parameter": [allowed] }).to_string();
    let mut export = Export::sent("POST", "/fhir/$export", &body, |config| config["edition"] = json!("4.0-ballot"));
    export.publish_all(&["a", "error-1", "b", "c", "error-2"], 2);
    let (status, first) = export.poll(3);
    assert_eq!((status, listed(&first.unwrap())), (202, vec!["a".to_owned(), "error-1".to_owned()]));
    assert_eq!([export.file("a", 3), export.file("error-1", 3), export.file("error-2", 3)], [200, 200, 404]);
    export.finish(4);
    assert_eq!(listed(&export.manifest("/manifests/3", 5).1.unwrap()), ["error-2"]);
}

#[test]
fn a_page_is_closed_when_its_oldest_file_has_waited_for_long_enough() {
    let mut export = Export::begun(|config| config["partialManifests"]["files"] = json!(100));
    let pages = [("a", 2), ("b", 61), ("c", 62), ("d", 63), ("e", 122), ("f", 123)];
    let pages = pages.map(|(name, seconds)| export.publish(name, seconds));
    assert_eq!(pages, [Some(1), Some(1), Some(1), Some(2), Some(2), Some(2)]);
    // Time alone closes none: nobody is to see another page than whoever asked before.
    assert_eq!(export.publish("g", 124), Some(3));
    assert_eq!(listed(&export.poll(100_000).1.unwrap()).len(), 3);
    assert_eq!(export.manifest("/manifests/3", 100_000), (404, None));
}

/// BD-PART-01, BD-PART-06.
#[test]
fn without_the_parameter_or_where_it_is_not_supported_there_is_one_manifest() {
    let unsupported = |config: &mut Value| drop(config.as_object_mut().unwrap().remove("partialManifests"));
    for mut export in [
        Export::asked("/fhir/$export", |_| {}),
        Export::asked("/fhir/$export?allowPartialManifests=false", |_| {}),
        Export::begun(unsupported),
    ] {
        let names = ["a.ndjson", "b.ndjson", "c.ndjson", "error-1.ndjson"];
        assert!(names.iter().all(|name| export.publish(name, 2).is_none()));
        assert_eq!((export.poll(3), export.file("a.ndjson", 3)), ((202, None), 404));
        export.finish(4);
        let (status, manifest) = export.poll(5);
        let manifest = manifest.unwrap();
        assert_eq!((status, listed(&manifest)), (200, names.map(str::to_owned).to_vec()));
        assert!(manifest.get("link").is_none());
        assert_eq!((export.file("a.ndjson", 5), export.manifest("/manifests/2", 5)), (200, (404, None)));
    }
}

#[test]
fn what_staff_have_to_release_is_on_no_page_before_that() {
    let step = json!({ "name": "review", "progress": "under review", "deadlineSeconds": 100_000 });
    let mut export = Export::begun(|config| config["steps"] = json!({ "release": [step] }));
    let names = ["a.ndjson", "b.ndjson", "c.ndjson"];
    export.publish_all(&names, 2);
    assert_eq!((export.poll(3), export.file("a.ndjson", 3)), ((202, None), 404));
    export.finish(4);
    assert_eq!(export.job.state(), State::AwaitingRelease);
    assert_eq!((export.poll(5), export.file("a.ndjson", 5)), ((202, None), 404));
    assert_eq!(export.manifest("/manifests/2", 5), (404, None));
    export.job.apply(approve("review"), at(6)).unwrap();
    assert_eq!(listed(&export.poll(7).1.unwrap()), names[..2]);
    assert_eq!(listed(&export.manifest("/manifests/2", 7).1.unwrap()), names[2..]);
    assert_eq!(export.file("c.ndjson", 7), 200);
}

#[test]
fn no_page_is_closed_before_the_attachments_are_there() {
    let mut export = Export::begun(|config| config["attachments"] = json!("serve"));
    let Wants::Run { partitions, .. } = export.job.wants("h", at(2)) else { panic!("it is to be run") };
    let first = partitions[0].clone();
    assert_eq!((first.pass, partitions[1].pass), (Pass::Attachments, Pass::Main), "they come first");
    let attachment = OutputFile { section: Section::Attachment, resource_type: None, ..row("attachment-1") };
    assert_eq!(export.publish_row(first.partition, attachment.clone(), 2), Some(1));
    // Another host may take the passes in another order.
    export.publish_all(&["a", "b", "c"], 3);
    assert_eq!((export.poll(4), export.file("attachment-1", 4)), ((202, None), 404));
    let late = OutputFile { name: "attachment-2".into(), ..attachment };
    assert_eq!(export.publish_row(first.partition, late, 5), Some(1));
    let finish = Command::FinishPartition { epoch: export.epoch, partition: first.partition };
    export.job.apply(finish, at(6)).unwrap();
    assert_eq!(export.publish("d", 7), Some(1));
    assert_eq!(listed(&export.poll(8).1.unwrap()), ["a", "b", "c", "d"]);
    assert_eq!(["a", "attachment-1", "attachment-2"].map(|name| export.file(name, 8)), [200; 3]);
    assert_eq!(export.publish("e", 9), Some(2), "attachments are no files of a page");
}

#[test]
fn a_page_is_not_closed_before_what_it_names_is_there() {
    let mut export = Export::begun(|_| {});
    let split = |name: &str, next: &str| OutputFile { continues_in_file: Some(next.to_owned()), ..row(name) };
    assert_eq!(export.publish_row(0, split("r-1", "r-2"), 2), Some(1));
    // Neither reports nor what another partition publishes are what is waited for.
    assert_eq!(export.publish("error-1", 3), Some(1));
    assert_eq!(export.publish_row(1, row("r-p1-1"), 100), Some(1));
    assert_eq!(export.publish_row(0, split("r-2", "r-3"), 101), Some(1));
    let again = Job::decode(&export.job.encode()).unwrap();
    assert_eq!(again, export.job, "a host that is lost changes nothing of it");
    assert_eq!((export.poll(102), export.file("r-1", 102)), ((202, None), 404));
    assert_eq!(export.publish_row(0, row("r-3"), 103), Some(1));
    assert_eq!(listed(&export.poll(104).1.unwrap()), ["r-1", "r-p1-1", "r-2", "r-3", "error-1"]);
    assert_eq!(export.publish("r-4", 105), Some(2));
}

/// A host that goes on with a stored job knows what the last one put on the page, and what is still to come.
#[test]
fn a_page_is_closed_as_the_record_says() {
    let mut job = Job::decode(include_str!("../golden/record-4.json").trim_end()).unwrap();
    let mut publish = |name: &str| {
        let checkpoint = Checkpoint { resume: Resume::Start, kinds: Vec::new() };
        let publish = Command::Publish { epoch: Epoch(1), partition: 0, rows: vec![row(name)], checkpoint };
        job.apply(publish, at(20)).unwrap().1.rows.remove(0).page
    };
    assert_eq!(publish("error-0001.ndjson"), Some(2), "the page is full, and names a file that is not there");
    assert_eq!(["resources-0004.ndjson", "resources-0005.ndjson"].map(publish), [Some(2), Some(3)]);
}

/// BD-MAN-28.
#[test]
fn the_files_of_a_job_that_ends_early_are_gone() {
    let grown = || {
        let mut export = Export::begun(|_| {});
        export.publish_all(&["a", "b", "c", "d", "e"], 2);
        assert_eq!((export.file("a", 3), export.manifest("/manifests/2", 3).0), (200, 200));
        export
    };
    let mut failed = grown();
    failed.job.apply(Command::Fail { epoch: failed.epoch, diagnostics: "no".into() }, at(4)).unwrap();
    assert_eq!((failed.poll(5), failed.manifest("/manifests/2", 5)), ((500, None), (500, None)));
    assert_eq!((failed.file("a", 5), failed.manifest("/manifests/3", 5)), (404, (404, None)), "nobody linked to it");

    let mut deleted = grown();
    let target = format!("/fhir/bulk/{}", deleted.job.id());
    let delete = Request { method: "DELETE", target: &target, headers: &[], body: b"" };
    let Export { endpoint, job, principal, account, .. } = &mut deleted;
    assert_eq!(job.handle_request(endpoint, &delete, principal, account, at(4)).0.status, 202);
    assert_eq!((deleted.poll(5), deleted.manifest("/manifests/2", 5)), ((404, None), (404, None)));
    assert_eq!(deleted.file("a", 5), 404);
}

#[test]
fn a_page_is_for_those_who_may_poll_and_fetching_it_is_no_poll() {
    let mut export = Export::begun(|config| config["pollIntervalMillis"] = json!(60_000));
    export.publish_all(&["a", "b", "c", "d"], 2);
    assert_eq!(export.poll(3).0, 202);
    let account = export.account;
    for _ in 0..5 {
        assert_eq!(export.manifest("/manifests/2", 3).0, 200);
    }
    assert_eq!((export.account, export.poll(3).0), (account, 429), "polls alone are counted");
    export.principal = known(&["system/Device.rs"], None);
    assert_eq!(export.manifest("/manifests/2", 100).0, 403);
    let Principal::Known { client, .. } = &mut export.principal else { panic!("it is known") };
    *client = "other".into();
    assert_eq!(export.manifest("/manifests/2", 100).0, 404);
    let target = format!("/fhir/bulk/{}/manifests/2", export.job.id());
    let anonymous = Request { method: "GET", target: &target, headers: &[], body: b"" };
    let Route::Respond(refused) = export.endpoint.route(&anonymous, &Principal::Anonymous) else { panic!("let in") };
    assert_eq!(refused.status, 401);
    export.principal = known(&["system/*.rs"], None);
    let post = Request { method: "POST", ..anonymous };
    let Export { endpoint, job, principal, account, .. } = &mut export;
    assert_eq!(job.handle_request(endpoint, &post, principal, account, at(100)).0.status, 405);
}

#[test]
fn signed_addresses_open_the_files_of_a_running_job_for_as_long_as_is_said() {
    let keys = json!({ "keys": [{ "id": "a", "secret": "0a".repeat(32) }], "seconds": 60 });
    let mut export = Export::begun(|config| {
        (config["signedUrls"], config["retentionSeconds"]) = (keys, json!(30));
    });
    export.publish_all(&["a", "b"], 2);
    // Longer than files are kept after the end, which has not come.
    let (_, page) = export.poll(1_005);
    let page = page.unwrap();
    let url = page["output"][0]["url"].as_str().unwrap();
    let target = url.strip_prefix("https://ehr.example").unwrap();
    let request = Request { method: "GET", target, headers: &[], body: b"" };
    assert!(matches!(export.endpoint.route(&request, &Principal::Anonymous), Route::Job(_)));
    let mut fetch = |seconds| {
        let (endpoint, account) = (&export.endpoint, &mut PollAccount::default());
        let (response, _) = export.job.handle_request(endpoint, &request, &Principal::Anonymous, account, at(seconds));
        matches!(response.body, Body::Row(_))
    };
    assert!(fetch(1_064) && !fetch(1_066));
    assert_eq!(page["requiresAccessToken"], false);
}

/// BD-MAN-27: a client knows by the address that it is the file that it has.
#[test]
fn an_error_file_has_one_address_on_all_pages() {
    let keys = json!({ "keys": [{ "id": "a", "secret": "0a".repeat(32) }], "seconds": 60 });
    let target = "/fhir/$export?allowPartialManifests=true";
    let mut export = Export::sent("GET", target, "", |config| config["signedUrls"] = keys);
    export.publish_all(&["error-1", "a", "b", "c"], 2);
    export.finish(1_003);
    let error = |page: Option<Value>| page.unwrap()["error"][0]["url"].as_str().unwrap().to_owned();
    let first = error(export.poll(1_004).1);
    assert!(first.contains("?e="), "{first}");
    for seconds in [1_004, 1_017] {
        assert_eq!(error(export.manifest("/manifests/2", seconds).1), first, "{seconds}");
    }
    assert_ne!(
        error(export.manifest("/manifests/2", 1_018).1),
        first,
        "one who reads slowly gets one that opens longer"
    );
}

#[test]
fn on_which_page_a_file_is_the_job_says() {
    let mut export = Export::begun(|_| {});
    let forged = OutputFile { page: Some(7), ..row("a") };
    assert_eq!(export.publish_row(0, forged.clone(), 2), Some(1));
    let mut plain = Export::asked("/fhir/$export", |_| {});
    assert_eq!(plain.publish_row(0, forged, 2), None);
    // What no page lists is not served, whatever its row says.
    export.publish("b", 2);
    let request = Request { method: "GET", target: "/", headers: &[], body: b"" };
    let status = |page| export.job.serve_file(&OutputFile { page, ..row("x") }, &request).status;
    assert_eq!([status(Some(1)), status(Some(0)), status(Some(2)), status(None)], [200, 404, 404, 404]);
}

#[test]
fn an_export_without_files_has_one_page_and_none_follows_the_last_number() {
    let mut empty = Export::begun(|_| {});
    empty.finish(2);
    let (status, page) = empty.poll(3);
    assert_eq!((status, listed(&page.unwrap()).len()), (200, 0));

    let mut full = Export::begun(|_| {});
    full.publish_all(&["a", "b"], 2);
    full.finish(3);
    assert!(full.poll(4).1.unwrap().get("link").is_none(), "no page without files follows");

    let mut last = Export::begun(|_| {});
    let record = last.job.encode().replace("\"open\":1,", &format!("\"open\":{},", u32::MAX));
    last.job = Job::decode(&record).unwrap();
    let pages = ["a", "b", "c", "d", "e"].map(|name| last.publish(name, 2));
    assert_eq!(pages, [Some(u32::MAX); 5]);
    last.finish(3);
    let (status, page) = last.manifest(&format!("/manifests/{}", u32::MAX), 4);
    assert_eq!((status, listed(&page.unwrap()).len()), (200, 5));
}

#[test]
fn the_parameter_is_one_of_3_0_and_a_boolean() {
    let principal = known(&["system/*.rs"], None);
    let ask = |edition: &str, method: &str, target: &str, body: &str| {
        let config = json!({ "baseUrl": "https://ehr.example/fhir", "auth": "bearer", "edition": edition });
        kick_off(&endpoint(&config), method, target, body, &principal).map(drop)
    };
    for edition in ["1.0.1", "2.0"] {
        let refused = ask(edition, "GET", "/fhir/$export?allowPartialManifests=true", "").unwrap_err();
        let said = "`allowPartialManifests` is no parameter of this edition; it came with 3.0";
        assert!(refused.status == 400 && text(&refused).contains(said), "{}", text(&refused));
    }
    for truth in ["true", "false"] {
        assert!(ask("3.0", "GET", &format!("/fhir/$export?allowPartialManifests={truth}"), "").is_ok());
    }
    for other in ["", "1", "True", "yes"] {
        let refused = ask("3.0", "GET", &format!("/fhir/$export?allowPartialManifests={other}"), "").unwrap_err();
        assert!(text(&refused).contains("is `true` or `false`"), "{}", text(&refused));
    }
    let posted = |value: Value| {
        let body = json!({ "resourceType": "Parameters", "parameter": [{ "name": "allowPartialManifests", "valueBoolean": value }] });
        ask("4.0-ballot", "POST", "/fhir/$export", &body.to_string())
    };
    assert!(posted(json!(true)).is_ok() && posted(json!("true")).is_err());
}
