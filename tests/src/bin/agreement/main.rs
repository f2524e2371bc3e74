//! What core makes of resources and queries, as NDJSON: our side of `cargo xtask agreement`, which holds it against
//! other implementations.
//!
//! `agreement values RESOURCES` prints a line for each resource: what its search parameters find in it.
//! `agreement verdicts RESOURCES QUESTIONS` prints a line for each question, `{"query":…,"of":[…]}` with the lines of
//! the resources that are asked about, counted from 0: `{"yes":[…]}`, or `{"refused":…}` if the query is.

mod resource;

use std::{
    env, fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, bail};
use ehi_core::{
    Definitions, Edition, Timestamp,
    type_filter::{self, Filter, FilterContext, TypeFilterError, TypeFilterSource},
};
use serde::{Deserialize, Serialize};

use resource::Resource;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    match arguments.as_slice() {
        ["values", resources] => values(&read(resources)?, &mut out)?,
        ["verdicts", resources, questions] => verdicts(&read(resources)?, &read(questions)?, &mut out)?,
        _ => bail!("usage: agreement values RESOURCES | agreement verdicts RESOURCES QUESTIONS"),
    }
    out.flush().context("cannot write the answers")
}

#[derive(Deserialize)]
struct Question {
    query: String,
    of: Vec<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Yes(Vec<usize>),
    Refused(String),
}

fn values(resources: &str, out: &mut impl Write) -> Result<()> {
    resources.lines().try_for_each(|line| {
        let found = Resource::read(line)?.values(&Definitions::R4)?;
        write_line(&found, out)
    })
}

fn verdicts(resources: &str, questions: &str, out: &mut impl Write) -> Result<()> {
    let resources = resources.lines().map(Resource::read).collect::<Result<Vec<_>>>()?;
    let context = FilterContext { base_url: BASE_URL.to_owned(), now: Timestamp::parse_instant(NOW)? };
    questions.lines().try_for_each(|line| {
        let question: Question = serde_json::from_str(line).context("a line is no question")?;
        let answer = match compile(&question.query, &context) {
            Ok(filter) => Answer::Yes(selected(&filter, &question.of, &resources)?),
            Err(errors) => Answer::Refused(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        };
        write_line(&answer, out)
    })
}

fn compile(query: &str, context: &FilterContext) -> Result<Filter, Vec<TypeFilterError>> {
    let queries = type_filter::parse(&[TypeFilterSource::Post(query)], Edition::Stu3, &Definitions::R4)?;
    Filter::compile(&queries, &Definitions::R4, context)
}

fn selected(filter: &Filter, asked: &[usize], resources: &[Resource<'_>]) -> Result<Vec<usize>> {
    let mut selected = Vec::new();
    for &index in asked {
        let resource = resources.get(index).context("a question is about a resource that is not there")?;
        selected.extend(resource.passes(filter).then_some(index));
    }
    Ok(selected)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(Path::new(path)).with_context(|| format!("cannot read {path}"))
}

fn write_line(answer: &impl Serialize, out: &mut impl Write) -> Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n").context("cannot write an answer")
}

/// The server that the data never mention, so that every absolute reference is to another one.
const BASE_URL: &str = "http://example.org/fhir";

/// What `ap` measures from.
const NOW: &str = "2024-01-01T00:00:00Z";
