//! `ehi serve`.

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use ehi_core::{
    endpoint::{AttachmentPolicy, Auth, EndpointConfig},
    writer::WriterLimits,
};
use tracing_subscriber::EnvFilter;

use super::{Failure, mention_other_files, selection::EditionName};
use crate::{
    audit::AuditLog,
    engine::{Component, ComponentLimits},
    export::Exporter,
    files::Files,
    serve::{self, Identity, Server, Tokens},
    source::Folder,
    store::JobStore,
};

/// Serve Bulk Data $export from a folder of NDJSON files
///
/// The FHIR base is /fhir: kick-off at /fhir/$export, /fhir/Patient/$export, /fhir/Group/ID/$export and
/// /fhir/Patient/ID/$export, by GET or POST. All decisions are made by the engine, a WebAssembly component inside this
/// program.
///
/// Without authorisation (--auth none) it answers on a loopback address only, under no other host name, and lets no web
/// page read its answers unless --cors names one. With --auth tokens it answers the bearers of the access tokens that
/// --tokens lists by their SHA-256, as far as their scopes, roles and access go. It speaks plain HTTP either way: a proxy
/// before it ends TLS, and --base-url says under which address clients know it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    /// The folder of NDJSON files: any names that end in .ndjson, any mix of resource types, Group included. Files that
    /// end in .tombstones.ndjson tell of deletions
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where jobs and output files are kept, and found again after a restart
    #[arg(long, value_name = "DIR", default_value = "ehi-state")]
    state: PathBuf,
    /// Who is let in
    #[arg(long, value_enum, default_value_t = AuthMode::None)]
    auth: AuthMode,
    /// A JSON array of access tokens, read again when it changes: {"sha256":"…","client":"app","user":null,"patient":null,
    /// "scopes":["system/*.rs"],"roles":[],"expires":"2030-01-01T00:00:00Z","access":{"patients":[],"groups":[],"practitioners":[]}}, and of
    /// staff who take steps at /staff/jobs/ID: {"sha256":"…","staff":"records","expires":"2030-01-01T00:00:00Z"}
    #[arg(long, value_name = "FILE", required_if_eq("auth", "tokens"))]
    tokens: Option<PathBuf>,
    /// Append every decision to this file, as a FHIR AuditEvent a line: ids, and no other data of patients
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// The FHIR base as clients know it, if a proxy stands before this server [default: http://ADDRESS/fhir]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The origin of web pages that may read answers, such as http://localhost:5173
    #[arg(long, value_name = "ORIGIN")]
    cors: Option<String>,
    /// A JSON file of settings, such as {"supporting":"all"}: members of the endpoint configuration, without baseUrl, auth,
    /// hosts and insecureHttp, which follow from where the server listens
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The edition of the guide to speak [default: 3]
    #[arg(long, value_enum)]
    edition: Option<EditionName>,
    /// How long output files are kept, in seconds [default: a day]
    #[arg(long, value_name = "SECONDS")]
    retention: Option<u64>,
    /// Unfinished exports at once [default: 5]
    #[arg(long, value_name = "N")]
    jobs: Option<u32>,
    #[command(flatten)]
    shards: super::export::Shards,
    /// Keep output files as gzip; clients that take gzip get them so
    #[arg(long)]
    gzip: bool,
    /// An engine component file to run instead of the one built in
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum AuthMode {
    /// Anyone on this machine
    None,
    /// The bearers of listed access tokens
    Tokens,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let is_open = matches!(self.auth, AuthMode::None);
        if is_open && self.base_url.is_some() {
            return Err(Failure::Usage("--base-url opens the server to others, which takes --auth tokens".into()));
        }
        if is_open && self.tokens.is_some() {
            return Err(Failure::Usage("--tokens takes --auth tokens".into()));
        }
        if is_open && !self.listen.ip().is_loopback() {
            return Err(Failure::Usage(format!(
                "--auth none listens on a loopback address only, and {} is none: anyone who reaches it would read everything",
                self.listen
            )));
        }
        let is_public = self.base_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        if !self.listen.ip().is_loopback() && !is_public {
            return Err(Failure::Usage(format!(
                "{} is no loopback address: that takes a proxy that ends TLS, and --base-url with its https address",
                self.listen
            )));
        }
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let colour = std::io::stderr().is_terminal();
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour).with_env_filter(filter).init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve()).map_err(Failure::Failed)
    }

    async fn serve(self) -> anyhow::Result<()> {
        let limits = WriterLimits { gzip: self.gzip, ..(&self.shards).into() };
        // Nothing is made on the disk for a data folder that is not there.
        anyhow::ensure!(
            self.data.is_dir(),
            "the data folder `{}` does not exist or is not a folder",
            self.data.display()
        );
        let listener = serve::listen(self.listen).await?;
        let address = listener.local_addr()?;
        let config = self.config(address)?;
        let engines = match &self.component {
            None => Component::embedded(&config, ComponentLimits::default())?,
            Some(file) => Component::from_file(file, &config, ComponentLimits::default())
                .with_context(|| format!("cannot run the component `{}`", file.display()))?,
        };
        let origin = self.cors.as_deref().map(str::parse).transpose().context("--cors is no origin")?;
        let identity = match &self.tokens {
            None => Identity::Anyone,
            Some(file) => Identity::Tokens(Arc::new(Tokens::open(file.clone())?)),
        };
        create_private(&self.state).with_context(|| format!("cannot create `{}`", self.state.display()))?;
        let store = JobStore::open(&self.state.join("jobs.sqlite"))?;
        let source =
            Folder::open(&self.data, &self.state.join("catalogue.sqlite"), &config.base_url, limits.line_bytes_max)?;
        mention_other_files(&source)?;
        let audit = self.audit.as_ref().map(|path| AuditLog::open(path, config.clone())).transpose()?.map(Arc::new);
        let files = Files::of_jobs(&self.state.join("files"))?;
        let exporter = Exporter {
            engines: Arc::new(engines),
            source: Arc::new(source),
            store: Arc::new(store),
            files,
            limits,
            audit,
        };
        // The one line on standard output, for people and for scripts that wait for it.
        println!("serving {}", config.base_url);
        Server::new(exporter, identity, config)?.run(listener, origin, stop()).await
    }

    /// What the file says, then what the command line says.
    fn config(&self, address: SocketAddr) -> anyhow::Result<EndpointConfig> {
        let base_url = self.base_url.clone().unwrap_or_else(|| format!("http://{address}/fhir"));
        let auth = match self.auth {
            AuthMode::None => Auth::None,
            AuthMode::Tokens => Auth::Bearer,
        };
        let named = base_url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
        let given = match &self.config {
            None => EndpointConfig { attachments: AttachmentPolicy::Serve, ..EndpointConfig::new(base_url, auth) },
            Some(file) => {
                settings(file, &base_url, auth).with_context(|| format!("in the settings file `{}`", file.display()))?
            }
        };
        Ok(EndpointConfig {
            insecure_http: true,
            hosts: vec![address.to_string(), format!("localhost:{}", address.port()), named],
            edition: self.edition.map_or(given.edition, Into::into),
            retention_seconds: self.retention.unwrap_or(given.retention_seconds),
            jobs_per_client_max: self.jobs.unwrap_or(given.jobs_per_client_max).max(1),
            ..given
        })
    }
}

/// Reads a settings file. The core reads its members, and refuses those that it does not know.
fn settings(file: &Path, base_url: &str, auth: Auth) -> anyhow::Result<EndpointConfig> {
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(file)?)?;
    for ours in ["baseUrl", "auth", "hosts", "insecureHttp"] {
        anyhow::ensure!(!members.contains_key(ours), "`{ours}` follows from where the server listens");
    }
    members.insert("baseUrl".into(), base_url.into());
    members.insert("auth".into(), serde_json::to_value(auth)?);
    // Nothing else on this server answers for a Binary.
    members.entry("attachments").or_insert("serve".into());
    Ok(EndpointConfig::from_json(&serde_json::Value::Object(members).to_string())?)
}

/// A folder for this user alone: it will hold patient data.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

async fn stop() {
    // Without a signal handler the server still ends, only less politely.
    let _ = tokio::signal::ctrl_c().await;
    tracing::info!("stopping; exports that are running go on at the next start");
}

const EXAMPLES: &str = "\
Examples:
  ehi serve --data records
  ehi serve --data records --listen 127.0.0.1:0 --state /var/lib/ehi --retention 3600
  curl -i 'http://127.0.0.1:8080/fhir/Patient/$export'";
