//! The client, and what stands between it and the server.

use std::collections::{BTreeMap, BTreeSet};

use ehi_core::{
    Edition, Timestamp,
    client::{Checker, Client, ClientInput, ClientLimits, ClientOutput, Contents, Expect, ExportRequest, Report},
    kick_off::Level,
};

use crate::server::{BASE, ORIGIN, Server};

/// A client, a server, a network between them, and the client's disk.
pub(crate) struct Pair {
    client: Client,
    pub(crate) server: Server,
    now: Timestamp,
    saved: Vec<u8>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    receiving: BTreeMap<u64, (String, Vec<u8>, Expect)>,
    /// How files were asked for.
    pub(crate) accepts: BTreeSet<String>,
    pub(crate) cut_every: Option<usize>,
    pub(crate) restart_every: Option<u32>,
    pub(crate) cancel_at_wait: Option<u32>,
}

impl Pair {
    pub(crate) fn new(edition: Edition, change: impl FnOnce(&mut ExportRequest)) -> Self {
        let mut request = ExportRequest::new(BASE);
        (request.edition, request.level, request.discover) = (edition, Level::System, false);
        change(&mut request);
        let now = Timestamp::parse_instant("2026-01-01T00:00:00Z").unwrap();
        let limits = ClientLimits { save_bytes: 1_000, ..ClientLimits::default() };
        Self {
            client: Client::new(request.check().unwrap(), limits, 5, now),
            server: Server::new(edition),
            now,
            saved: Vec::new(),
            files: BTreeMap::new(),
            receiving: BTreeMap::new(),
            accepts: BTreeSet::new(),
            cut_every: None,
            restart_every: None,
            cancel_at_wait: None,
        }
    }

    pub(crate) fn drive(&mut self) -> Report {
        let mut waits = 0;
        for turn in 1..20_000 {
            match self.client.poll_output(self.now) {
                ClientOutput::Done(report) => return *report,
                ClientOutput::Wait { until } => {
                    waits += 1;
                    if self.cancel_at_wait == Some(waits) {
                        self.client.handle_input(ClientInput::Cancel, self.now);
                        continue;
                    }
                    self.now = until;
                    self.server.work(self.now);
                }
                output => self.act(output),
            }
            if self.restart_every.is_some_and(|every| turn % every == 0) && !self.saved.is_empty() {
                self.receiving.clear();
                self.client = Client::resume(&self.saved, u64::from(turn), self.now).unwrap();
            }
        }
        panic!("no end: {:?}", self.server.log);
    }

    fn act(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Transmit { op, method, url, headers, body, authorize, .. } => {
                let (status, headers, body) = self.send(&method, url.as_str(), &headers, body.expose(), authorize);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                self.client
                    .handle_input(ClientInput::Response { op, status, headers: &headers, body: &body }, self.now);
            }
            ClientOutput::Download { op, url, headers, authorize, from, to, expect } => {
                assert!(self.files.get(&to).map_or(0, Vec::len) as u64 >= from, "the part is there");
                self.accepts
                    .extend(headers.iter().filter(|(name, _)| name == "accept").map(|(_, value)| value.clone()));
                let (status, headers, body) = self.send("GET", url.as_str(), &headers, b"", authorize);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                let stored = matches!(status, 200 | 206);
                let shown: &[u8] = if stored { b"" } else { &body };
                self.client
                    .handle_input(ClientInput::Response { op, status, headers: &headers, body: shown }, self.now);
                self.receiving.insert(op.0, (to, body, expect));
            }
            ClientOutput::Receive { op, from, .. } => {
                let (to, body, expect) = self.receiving.remove(&op.0).unwrap();
                let file = self.files.entry(to).or_default();
                file.truncate(usize::try_from(from).unwrap());
                let sent = self.cut_every.unwrap_or(body.len()).min(body.len());
                file.extend_from_slice(&body[..sent]);
                self.client.handle_input(ClientInput::Progress { op, bytes: file.len() as u64 }, self.now);
                if sent < body.len() {
                    let error = ehi_core::client::TransferError::Network;
                    return self.client.handle_input(ClientInput::Failed { op, error }, self.now);
                }
                let contents = check(expect, file);
                self.client.handle_input(ClientInput::Downloaded { op, contents: &contents }, self.now);
            }
            ClientOutput::Keep { from, to } => {
                if let Some(file) = self.files.remove(&from) {
                    self.files.insert(to, file);
                }
            }
            ClientOutput::Discard { name } => {
                self.files.remove(&name);
            }
            ClientOutput::TokenNeeded => {
                self.client.handle_input(ClientInput::TokenReady { expires: None }, self.now);
            }
            ClientOutput::Save { bytes, append } => {
                if !append {
                    self.saved.clear();
                }
                self.saved.extend_from_slice(bytes.expose());
            }
            ClientOutput::Abort { op } => {
                self.receiving.remove(&op.0);
            }
            ClientOutput::Event(_) | ClientOutput::OpenBrowser { .. } => {}
            ClientOutput::Wait { .. } | ClientOutput::Done(_) => panic!("handled by the loop"),
        }
    }

    /// Over the wire: the request as bytes to the server, its response as bytes back.
    pub(crate) fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        authorize: bool,
    ) -> Message {
        let target = url.strip_prefix(ORIGIN).expect("no other server is known");
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if authorize {
            head.push_str("Authorization: Bearer token\r\n");
        }
        let wire = [head.as_bytes(), b"\r\n", body].concat();
        parse_response(&self.server.answer(&wire, self.now))
    }

    /// All lines of all files that were kept, sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        assert!(self.files.keys().all(|name| !name.ends_with(".part")), "{:?}", self.files.keys());
        let texts = self.files.values().map(|file| std::str::from_utf8(file).unwrap());
        let mut lines: Vec<_> = texts.flat_map(str::lines).map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

fn check(expect: Expect, file: &[u8]) -> Contents {
    let mut checker = Checker::new(expect);
    file.chunks(100).for_each(|block| checker.update(block));
    checker.finish()
}

pub(crate) type Message = (u16, Vec<(String, String)>, Vec<u8>);

fn parse_response(wire: &[u8]) -> Message {
    let end = wire.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut lines = std::str::from_utf8(&wire[..end]).unwrap().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    (status, headers, wire[end + 4..].to_vec())
}
