//! `ehi fetch`.

mod report;
mod request;
mod show;

use std::{io::IsTerminal as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use ehi_core::client::{Client, ClientInput, ClientLimits, ExportRequest, Outcome, Report};

use self::request::Parameters;
use super::{Failure, say};
use crate::{
    clock,
    fetch::{Fetcher, Folder, Net, SYNC_BYTES, Timeouts, TokenSource, Watch},
};

/// Fetch an export from a Bulk Data or EHI server into a folder
///
/// Kicks off, polls, downloads all files and the attachments that they refer to, checks each against what the server said
/// of it (length, count, digest, and that each line is a resource of the type), and tells the server to remove the export
/// once all of it has arrived sound.
///
/// OUT receives Patient.000.ndjson and so on, error/ for what the server could not export, deleted/ for what was deleted
/// since, attachments/, export-log.ndjson (the Bulk Data export log, without patient data), and ehi-fetch.journal, from
/// which --resume goes on after a crash. A file that is not complete yet ends in .part. All of it is readable by you alone.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Fetch {
    /// The FHIR base of the server, such as https://ehr.example/fhir
    #[arg(value_name = "BASE_URL", required_unless_present = "resume")]
    base: Option<String>,
    /// The folder to write to; it is made if it is not there, and must be empty unless --resume is given
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on with the export that was begun in OUT: what has arrived stays, what broke off goes on where it broke. What to
    /// export is known from then; parameters that are given must be the same
    #[arg(long)]
    resume: bool,
    /// With --resume: end the export, and have the server remove it
    #[arg(long, requires = "resume")]
    cancel: bool,
    #[command(flatten)]
    parameters: Parameters,
    /// A file that holds the access token; read anew when the server wants another. Without it the environment variable
    /// EHI_TOKEN is used, without both no token
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    token_file: Option<PathBuf>,
    /// Downloads at once
    #[arg(long, value_name = "N", default_value_t = ClientLimits::default().downloads_max, value_parser = clap::value_parser!(u32).range(1..=64), help_heading = "Server")]
    downloads: u32,
    /// How long the server may be silent within an answer before the request is tried again, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Server")]
    timeout: u64,
    /// How long the export may take in all, in hours [default: 90 days]
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=24 * 365), help_heading = "Server")]
    deadline: Option<u64>,
}

impl Fetch {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut tokens = TokenSource::new(self.token_file.clone());
        let request = self.parameters.request(self.base.as_deref(), tokens.exists()).map_err(Failure::Usage)?;
        let (client, folder) = if self.resume { self.take_up(request)? } else { self.begin(request)? };
        if !client.plan().request().authorize {
            tokens = TokenSource::none();
        }
        let terminal = std::io::stderr().is_terminal();
        let watch = show::watch(terminal);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let report = runtime.block_on(self.fetch(client, folder, tokens, Arc::clone(&watch)));
        // What a thread of an aborted download still does is of no use to anyone.
        runtime.shutdown_background();
        watch.over();
        match report? {
            Some(report) => {
                say(report::text(&report, &self.out, terminal).trim_end());
                self.end(&report)
            }
            None => {
                say("stopped; --resume goes on, --resume --cancel ends the export on the server too");
                Err(Failure::Told(INTERRUPTED))
            }
        }
    }

    fn begin(&self, request: ExportRequest) -> Result<(Client, Folder), Failure> {
        let plan = request.check().map_err(|error| Failure::Usage(request::problems(&error)))?;
        for warning in plan.warnings() {
            say(format_args!("note: {}", request::shown(warning)));
        }
        let folder = Folder::begin(&self.out).map_err(|error| Failure::Usage(format!("{error:#}")))?;
        Ok((Client::new(plan, self.limits(), seed()?, clock::now()), folder))
    }

    fn take_up(&self, request: ExportRequest) -> Result<(Client, Folder), Failure> {
        let (folder, journal) = Folder::resume(&self.out).map_err(|error| Failure::Usage(format!("{error:#}")))?;
        let mut client = Client::resume(&journal, seed()?, clock::now())
            .with_context(|| format!("cannot go on in `{}`", self.out.display()))?;
        if !request::agrees(&request, client.plan().request()) {
            return Err(Failure::Usage(format!(
                "what is asked for is not what was begun in `{}`; with --resume it can be left away",
                self.out.display()
            )));
        }
        if self.cancel {
            client.handle_input(ClientInput::Cancel, clock::now());
        }
        Ok((client, folder))
    }

    async fn fetch(
        &self,
        client: Client,
        folder: Folder,
        tokens: TokenSource,
        watch: Arc<dyn show::Screen>,
    ) -> anyhow::Result<Option<Report>> {
        let silence = Duration::from_secs(self.timeout);
        let timeouts = Timeouts { connect: CONNECT.min(silence), silence };
        let net = Net::new(client.plan(), timeouts).await?;
        let watch: Arc<dyn Watch> = watch;
        Fetcher::new(client, net, folder, tokens, watch).run(interrupted()).await
    }

    fn limits(&self) -> ClientLimits {
        let default = ClientLimits::default();
        ClientLimits {
            downloads_max: self.downloads,
            save_bytes: SYNC_BYTES,
            total_seconds_max: self.deadline.map_or(default.total_seconds_max, |hours| hours * 3600),
            ..default
        }
    }

    fn end(&self, report: &Report) -> Result<(), Failure> {
        match &report.outcome {
            Outcome::Complete => Ok(()),
            Outcome::Cancelled if self.cancel => Ok(()),
            Outcome::Incomplete => Err(Failure::Told(INCOMPLETE)),
            Outcome::Cancelled | Outcome::Failed(_) => Err(Failure::Told(FAILED)),
        }
    }
}

fn seed() -> anyhow::Result<u64> {
    let [a, b, c, d, e, f, g, h, ..] = clock::entropy()?;
    Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

async fn interrupted() {
    // Without a signal handler the program still ends, and the journal is there.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

const CONNECT: Duration = Duration::from_secs(30);

const FAILED: u8 = 1;
const INCOMPLETE: u8 = 3;
/// As a shell says it of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

const EXAMPLES: &str = "\
Exit codes:
  0    complete: everything that the server listed has arrived and is what it said
  1    failed: there is no export, or none that could be fetched
  2    wrong usage, or a request that no server should be asked
  3    incomplete: files are missing or doubtful, and the report says which; --resume tries those again
  130  stopped by Ctrl-C; --resume goes on

Only https is contacted unless --insecure-http is given, no private address unless the base is one, and no proxy. Which
certificates are trusted is what this system says; SSL_CERT_FILE names others.

Examples:
  EHI_TOKEN=... ehi fetch https://ehr.example/fhir --out fetched --level group/diabetes --type Patient --type Observation
  ehi fetch https://ehr.example/fhir --token-file token --out fetched --since 2024-01-01T00:00:00Z
  ehi fetch https://ehr.example/fhir --token-file token --out record --ehi 123
  ehi fetch http://127.0.0.1:8080/fhir --insecure-http --out fetched --level patient --keep
  ehi fetch --resume --out fetched";
