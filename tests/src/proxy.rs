//! A server between a client and `ehi serve`, which passes on what both say and does harm where it is told to.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::{
    http::{self, Reply},
    server::Server,
};

/// A request as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// As it was sent.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many requests with this method and target were seen before.
    pub before: usize,
}

impl Seen {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asks for an output file.
    pub fn is_file(&self) -> bool {
        self.method == "GET" && self.target.ends_with(".ndjson")
    }
}

/// What is done to an answer.
#[derive(Clone, Debug)]
pub enum Harm {
    /// It is passed on.
    None,
    /// Of its body only so much, then the connection is closed.
    Cut(usize),
    /// Of its body only so much, then nothing more for as long as a test lasts.
    Stall(usize),
    /// It comes late.
    Late(Duration),
    /// It is no HTTP.
    Garbage,
    /// There is none.
    Close,
}

type Rule = dyn Fn(&Seen, &mut Reply) -> Harm + Send + Sync;

/// A running proxy.
pub struct Proxy {
    /// `host:port`
    pub address: String,
    /// `http://host:port/fhir`
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    /// Starts one before that server. The rule may change the answer before it does harm to it; addresses of the server in
    /// it have become the proxy's by then.
    pub fn start(server: &Server, rule: impl Fn(&Seen, &mut Reply) -> Harm + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let wire = Wire {
            upstream: server.address.clone(),
            address: address.clone(),
            seen: Arc::clone(&seen),
            rule: Box::new(rule),
        };
        let wire = Arc::new(wire);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let wire = Arc::clone(&wire);
                // A connection that the client has closed is over.
                thread::spawn(move || wire.serve(stream));
            }
        });
        Self { base: format!("http://{address}/fhir"), address, seen }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }
}

struct Wire {
    upstream: String,
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Box<Rule>,
}

impl Wire {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some((mut seen, body)) = read_request(&mut reader)? {
            {
                let mut all = self.seen.lock().expect("no test panics while it holds this");
                seen.before =
                    all.iter().filter(|one| (&one.method, &one.target) == (&seen.method, &seen.target)).count();
                all.push(seen.clone());
            }
            let hop = ["host", "connection", "content-length"];
            let headers = seen.headers.iter().filter(|(name, _)| !hop.contains(&name.as_str()));
            let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut reply = http::send(&self.upstream, &seen.method, &seen.target, &headers, &body)?;
            self.move_addresses(&mut reply);
            let harm = (self.rule)(&seen, &mut reply);
            if !write_reply(&mut stream, &reply, harm)? {
                break;
            }
        }
        Ok(())
    }

    /// The client must find here what the server says is there.
    fn move_addresses(&self, reply: &mut Reply) {
        reply.headers.iter_mut().for_each(|(_, value)| *value = value.replace(&self.upstream, &self.address));
        if reply.header("content-type").is_some_and(|name| name.ends_with("json") && !name.ends_with("ndjson"))
            && let Ok(text) = std::str::from_utf8(&reply.body)
        {
            reply.body = text.replace(&self.upstream, &self.address).into_bytes();
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<(Seen, Vec<u8>)>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.iter();
    let mut first = lines.next().map(|line| line.split(' ')).into_iter().flatten();
    let (method, target) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let field =
        |line: &String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let seen = Seen { method, target, headers: lines.filter_map(field).collect(), before: 0 };
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((seen, body)))
}

/// Whether the connection can go on.
fn write_reply(stream: &mut TcpStream, reply: &Reply, harm: Harm) -> std::io::Result<bool> {
    let end = match harm {
        Harm::Close => return Ok(false),
        Harm::Garbage => return stream.write_all(b"\x16\x03\x01 what is this?\r\n\r\n").map(|()| false),
        Harm::Late(delay) => {
            thread::sleep(delay);
            reply.body.len()
        }
        Harm::Cut(bytes) | Harm::Stall(bytes) => bytes.min(reply.body.len()),
        Harm::None => reply.body.len(),
    };
    let mut head = format!("HTTP/1.1 {} Answer\r\n", reply.status);
    let ours = ["connection", "content-length", "transfer-encoding"];
    for (name, value) in reply.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(&reply.body[..end])?;
    stream.flush()?;
    if matches!(harm, Harm::Stall(_)) {
        thread::sleep(Duration::from_secs(600));
    }
    Ok(end == reply.body.len())
}
