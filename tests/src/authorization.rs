//! An authorisation server as a deployment has one: it launches an app for a patient (SMART App Launch, public client with
//! PKCE), and tells `ehi serve` of its tokens through the file that this reads.
//!
//! The patient says yes to everything. All else is checked, so that an app that is let in did what apps have to do.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::tokens;

/// A running authorisation server, and the file of the access tokens that are good now.
pub struct Authorization {
    /// `http://host:port`
    pub base: String,
    /// What `ehi serve` is given.
    pub tokens: Arc<NamedTempFile>,
}

/// The app that is registered, and the patient who uses it.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The id of the client.
    pub client: String,
    /// The one address to which codes are sent.
    pub redirect_uri: String,
    /// Who logs in.
    pub patient: String,
}

#[derive(Default)]
struct Issued {
    /// What was asked for with each code that was not redeemed yet: its challenge and its scopes.
    codes: BTreeMap<String, (String, String)>,
    /// The scopes of the refresh token that is good now.
    refresh: Option<(String, String)>,
    count: u32,
}

struct Issuer {
    registered: Registered,
    tokens: Arc<NamedTempFile>,
    issued: Mutex<Issued>,
}

impl Authorization {
    /// Starts one that knows this app. Nobody has a token yet.
    pub fn start(registered: Registered) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let tokens = Arc::new(tokens::tokens(&[]));
        let issuer = Issuer { registered, tokens: Arc::clone(&tokens), issued: Mutex::default() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever hangs up gets no answer.
                let _ = issuer.serve(stream);
            }
        });
        Self { base, tokens }
    }
}

impl Issuer {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line)?;
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or_default();
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let answer = match (line.split(' ').next(), path) {
            (Some("GET"), "/authorize") => self.authorize(&fields(query)).map_or_else(refused, sent_back),
            (Some("POST"), "/token") => {
                let asked = fields(&String::from_utf8_lossy(&body));
                self.token(&asked).map_or_else(refused, |token| answer("200 OK", "", &token.to_string()))
            }
            _ => answer("404 Not Found", "", ""),
        };
        stream.write_all(answer.as_bytes())
    }

    /// The patient logs in and allows it. Where the browser goes with the code.
    fn authorize(&self, asked: &BTreeMap<String, String>) -> Option<String> {
        let get = |name: &str| asked.get(name).map(String::as_str);
        let Registered { client, redirect_uri, .. } = &self.registered;
        let is_known = get("client_id") == Some(client) && get("redirect_uri") == Some(redirect_uri);
        let is_sound = get("response_type") == Some("code") && get("code_challenge_method") == Some("S256");
        let (challenge, scope, state) = (get("code_challenge")?, get("scope")?, get("state")?);
        if !is_known || !is_sound || !get("aud")?.starts_with("http") {
            return None;
        }
        let mut issued = self.issued.lock().ok()?;
        issued.count += 1;
        let code = format!("code-{}", issued.count);
        issued.codes.insert(code.clone(), (challenge.to_owned(), scope.to_owned()));
        Some(format!("{redirect_uri}?code={code}&state={state}"))
    }

    /// A code or a refresh token is good once, the code with its verifier alone.
    fn token(&self, asked: &BTreeMap<String, String>) -> Option<Value> {
        let get = |name: &str| asked.get(name).map(String::as_str);
        let mut issued = self.issued.lock().ok()?;
        let scope = match get("grant_type")? {
            "authorization_code" => {
                let (challenge, scope) = issued.codes.remove(get("code")?)?;
                let is_theirs = get("client_id") == Some(&self.registered.client)
                    && get("redirect_uri") == Some(&self.registered.redirect_uri);
                (is_theirs && challenge_of(get("code_verifier")?) == challenge).then_some(scope)?
            }
            "refresh_token" => {
                let (_, scope) = issued.refresh.take_if(|(token, _)| Some(token.as_str()) == get("refresh_token"))?;
                scope
            }
            _ => return None,
        };
        issued.count += 1;
        let (access, refresh) = (format!("access-{}", issued.count), format!("refresh-{}", issued.count));
        let may_refresh = scope.split(' ').any(|scope| scope == "offline_access");
        issued.refresh = may_refresh.then(|| (refresh.clone(), scope.clone()));
        let Registered { client, patient, .. } = &self.registered;
        let scopes: Vec<&str> = scope.split(' ').collect();
        // Only the newest is good: what went before is told of no more.
        tokens::write(&self.tokens, &[(&access, json!({ "client": client, "patient": patient, "scopes": scopes }))]);
        let mut answer = json!({
            "access_token": access, "token_type": "Bearer", "expires_in": 300, "scope": scope, "patient": patient,
        });
        if may_refresh {
            answer["refresh_token"] = json!(refresh);
        }
        Some(answer)
    }
}

/// The challenge of a verifier, by S256 (RFC 7636 §4.2).
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// A text as a part of a query or a form.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The fields of a query or of a form.
pub fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).expect("two digits");
        bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn sent_back(to: String) -> String {
    answer("302 Found", &format!("Location: {to}\r\n"), "")
}

fn refused() -> String {
    answer("400 Bad Request", "", r#"{"error":"invalid_request"}"#)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
