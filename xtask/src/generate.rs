//! `gen`: the tables that core reads, from the official definitions of FHIR R4.

mod compartment;
mod definitions;
mod elements;
mod expression;
mod package;
mod route;
mod search;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::committed::{self, Generated, Mode};
use crate::workspace::Workspace;

use self::compartment::Compartment;
use self::definitions::Definitions;

#[derive(Args)]
pub(crate) struct GenArgs {
    /// Write nothing; fail with a summary if the committed files differ from what would be generated
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &GenArgs) -> Result<()> {
    let wheel = package::wheel(workspace)?;
    settle(workspace, &wheel, Mode::check_if(args.check))
}

/// What became of a check.
pub(crate) enum Checked {
    UpToDate,
    /// The definitions cannot be had on this machine.
    NoDefinitions(anyhow::Error),
}

/// Compares the committed files, if the definitions are to be had.
pub(crate) fn check(workspace: &Workspace) -> Result<Checked> {
    match package::wheel(workspace) {
        Ok(wheel) => settle(workspace, &wheel, Mode::Check).map(|()| Checked::UpToDate),
        Err(error) => Ok(Checked::NoDefinitions(error)),
    }
}

/// Writes the resources among the official definitions into a folder, one a file.
pub(crate) fn unpack(workspace: &Workspace, folder: &Path) -> Result<()> {
    let wheel = package::wheel(workspace)?;
    package::for_each_definition(&wheel, |name, bytes| {
        // Index and schemas are no resources; what lies deeper is there for tools.
        let is_resource = name.ends_with(".json") && name.contains('-') && !name.contains('/');
        if is_resource {
            fs::write(folder.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(())
    })
}

fn settle(workspace: &Workspace, wheel: &Path, mode: Mode) -> Result<()> {
    let definitions = Definitions::read(wheel)?;
    let compartment = Compartment::resolve(&definitions)?;
    let search_parameters = search::resolve(&definitions)?;
    let root_elements = elements::resolve(&definitions)?;
    eprintln!(
        "{} resource types; {} elements put a resource into a patient's compartment; {} search parameters",
        definitions.resources.len(),
        compartment.rows.len(),
        search_parameters.len()
    );
    for kept_out in &compartment.kept_out {
        eprintln!("kept out: {kept_out}");
    }
    let files = [
        file("resource-types.txt", resource_types(&definitions)),
        file("patient-compartment.tsv", patient_compartment(&compartment)),
        file("root-elements.tsv", elements::table(&root_elements)),
        file("search-parameters.tsv", search::table(&search_parameters)),
        file("SOURCE.md", package::source()),
    ];
    committed::settle(workspace, &files, mode, "gen")
}

fn file(name: &str, text: String) -> Generated {
    Generated { path: Path::new("core/data/r4").join(name), text }
}

fn resource_types(definitions: &Definitions) -> String {
    definitions.resources.keys().map(|name| format!("{name}\n")).collect()
}

fn patient_compartment(compartment: &Compartment) -> String {
    compartment
        .rows
        .iter()
        .map(|row| format!("{}\t{}\t{}\n", row.resource_type, row.search_parameter, row.path))
        .collect()
}
