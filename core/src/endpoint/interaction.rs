//! Where a browser goes once the patient has filled in the form: back to the app, to the address that it registered.

use serde::{Deserialize, Serialize};

use super::{Endpoint, EndpointConfig};
use crate::{access::Owner, http::Response, job::Job};

/// What a client has registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Where a browser is sent once the patient has submitted the form (EHI-KICK-10): absolute, and https but on loopback.
    /// Nothing is added to it.
    pub interaction_return_url: Option<String>,
}

impl Endpoint {
    /// The answer to a form that the job took, which sends the browser back to the app: to the address that the client
    /// registered, exactly, and never to one from the request. None if it registered none.
    pub fn return_to_client(&self, job: &Job) -> Option<Response> {
        let Owner::Client(client) = job.owner() else { return None };
        let url = self.config.clients.get(client)?.interaction_return_url.as_ref()?;
        // The check of the row is for 302, and so are all browsers: what follows is a GET.
        Some(Response::new(302).with("location", url).with("cache-control", "no-store"))
    }
}

impl EndpointConfig {
    /// What is wrong with what clients registered, if anything.
    pub(super) fn problem_of_clients(&self) -> Option<&'static str> {
        let mut urls = self.clients.values().filter_map(|client| client.interaction_return_url.as_deref());
        (!urls.all(is_return_url))
            .then_some("each `interactionReturnUrl` must be an absolute https URL, or http of loopback")
    }
}

/// Whoever registers an address with a name and a password, or with a part that browsers keep to themselves, means another.
fn is_return_url(url: &str) -> bool {
    let (is_secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
    let is_plain = url.len() <= URL_BYTES_MAX && url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#');
    is_plain && !host.is_empty() && !host.contains('@') && (is_secure || LOOPBACK.contains(&host))
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// As long as browsers and proxies certainly take.
const URL_BYTES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_return_to_is_of_https_or_loopback() {
        for right in [
            "https://app.example",
            "https://app.example:8443/ehi?done=1",
            "http://127.0.0.1:5173/done",
            "http://[::1]/done",
            "http://localhost",
        ] {
            assert!(is_return_url(right), "{right}");
        }
        let long = format!("https://app.example/{}", "a".repeat(2_000));
        for wrong in [
            "",
            "/done",
            "//app.example/done",
            "app.example",
            "https://",
            "https:///done",
            "https://:443/done",
            "http://app.example/done",
            "http://127.0.0.1.app.example/",
            "http://localhost@app.example/",
            "https://user@app.example/",
            "https://app.example/#done",
            "https://app.example/a b",
            "https://app.example/\r\nSet-Cookie: a",
            "https://app.example\\@other.example/",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(!is_return_url(wrong), "{wrong}");
        }
    }
}
