//! `configuration`: the settings of an endpoint as a JSON schema and as a page, from the types that core reads them into.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use clap::Args;
use ehi_core::endpoint::EndpointConfig;
use serde_json::Value;

use crate::committed::{self, Generated, Mode};
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct ConfigurationArgs {
    /// Write nothing; fail with a summary if the committed files differ from what would be generated
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &ConfigurationArgs) -> Result<()> {
    generate(workspace, Mode::check_if(args.check))
}

/// Writes or checks both files.
pub(crate) fn generate(workspace: &Workspace, mode: Mode) -> Result<()> {
    let schema = schemars::schema_for!(EndpointConfig).to_value();
    let file = |path: &str, text: String| Generated { path: path.into(), text };
    let json = serde_json::to_string_pretty(&schema)? + "\n";
    let files = [file("docs/configuration.schema.json", json), file("docs/configuration.md", page(&schema)?)];
    committed::settle(workspace, &files, mode, "configuration")
}

/// Every key with its type, its default and what it means; first those of the endpoint, then those of its parts.
fn page(schema: &Value) -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    members(&mut page, "The endpoint", schema)?;
    let parts = schema["$defs"].as_object().context("the schema has no definitions")?;
    for (name, part) in parts {
        match choices(part) {
            Some(choices) => alternatives(&mut page, name, part, choices)?,
            None => members(&mut page, name, part)?,
        }
    }
    Ok(page)
}

fn members(page: &mut String, title: &str, object: &Value) -> Result<()> {
    let members = object["properties"].as_object().with_context(|| format!("`{title}` has no members"))?;
    ensure!(object["additionalProperties"] == false, "`{title}` takes unknown members");
    heading(page, title, object)?;
    page.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, member) in members {
        let required = object["required"].as_array().is_some_and(|required| required.contains(&key.as_str().into()));
        let default = match &member["default"] {
            _ if required => "*required*".to_owned(),
            Value::Null => "none".to_owned(),
            value => format!("`{value}`"),
        };
        let meaning = description(member).with_context(|| format!("`{key}` of `{title}` is not documented"))?;
        writeln!(page, "| `{key}` | {} | {default} | {meaning} |", kind(member))?;
    }
    Ok(())
}

fn alternatives(page: &mut String, title: &str, part: &Value, choices: &[Value]) -> Result<()> {
    heading(page, title, part)?;
    page.push_str("\n| value | meaning |\n|---|---|\n");
    for choice in choices {
        let meaning = description(choice).with_context(|| format!("a value of `{title}` is not documented"))?;
        let value = match (&choice["const"], choice["properties"].as_object()) {
            (Value::Null, Some(members)) => {
                let members = members.iter().map(|(name, member)| format!("\"{name}\": {}", kind(member)));
                format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
            }
            (value, _) => format!("`{value}`"),
        };
        writeln!(page, "| {value} | {meaning} |")?;
    }
    Ok(())
}

fn heading(page: &mut String, title: &str, of: &Value) -> Result<()> {
    let about = description(of).with_context(|| format!("`{title}` is not documented"))?;
    Ok(write!(page, "\n## {title}\n\n{about}\n")?)
}

fn choices(part: &Value) -> Option<&Vec<Value>> {
    part["oneOf"].as_array()
}

/// In one line of a table; links into the Rust documentation become names.
fn description(of: &Value) -> Option<String> {
    let text = of["description"].as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"))
}

fn kind(of: &Value) -> String {
    let part = |of: &Value| {
        let name = of["$ref"].as_str()?.rsplit('/').next()?;
        Some(format!("[{name}](#{})", name.to_lowercase()))
    };
    if let Some(part) = part(of) {
        return part;
    }
    if let Some(some) = of["anyOf"].as_array() {
        return some.iter().filter(|kind| kind["type"] != "null").map(kind).collect::<Vec<_>>().join(" or ");
    }
    let name = match &of["type"] {
        Value::String(name) => name.as_str(),
        // What may be left out may be null.
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("any"),
        _ => "any",
    };
    match name {
        "array" => format!("list of {}", kind(&of["items"])),
        "object" if of["additionalProperties"].is_object() => {
            format!("{} by name", kind(&of["additionalProperties"]))
        }
        name => name.to_owned(),
    }
}

const INTRODUCTION: &str = "# Configuration

What a deployment decides, as one JSON object: given to `Endpoint::new` in Rust, to `ehi_endpoint_new` in C, to the
component's and the JavaScript module's `Endpoint`, and, but for `baseUrl`, `auth`, `hosts` and `insecureHttp`, which
follow from where it listens, to `ehi serve --config FILE`. Unknown keys are refused. A JSON schema for editors and
checks lies beside this page: [configuration.schema.json](configuration.schema.json). Ids in parentheses are those of
[conformance.md](conformance.md). Both files are written by `cargo xtask configuration`.
";
