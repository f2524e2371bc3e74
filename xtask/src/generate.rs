//! `gen`: the tables that core reads, from the official definitions of FHIR R4 and of US Core.

mod attachments;
mod compartment;
mod definitions;
mod element_types;
mod elements;
mod package;
mod search;
mod us_core;

use std::fs;
use std::path::{Path, PathBuf};

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
    settle(workspace, &Packages::get(workspace)?, Mode::check_if(args.check))
}

/// What became of a check.
pub(crate) enum Checked {
    UpToDate,
    /// The definitions cannot be had on this machine.
    NoDefinitions(anyhow::Error),
}

/// Compares the committed files, if the definitions are to be had.
pub(crate) fn check(workspace: &Workspace) -> Result<Checked> {
    match Packages::get(workspace) {
        Ok(packages) => settle(workspace, &packages, Mode::Check).map(|()| Checked::UpToDate),
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

/// Where the definitions lie on this machine.
struct Packages {
    r4: PathBuf,
    us_core: PathBuf,
}

impl Packages {
    fn get(workspace: &Workspace) -> Result<Self> {
        Ok(Self { r4: package::wheel(workspace)?, us_core: us_core::archive(workspace)? })
    }
}

fn settle(workspace: &Workspace, packages: &Packages, mode: Mode) -> Result<()> {
    let definitions = Definitions::read(&packages.r4)?;
    let resource_types = resource_types(&definitions);
    let element_types = element_types::table(&definitions)?;
    let version = ehi_core::Definitions::from_tables(&resource_types, "").with_element_types(&element_types);
    let search_parameters = search::table(&search::corrected(&definitions.search_parameters)?, version)?;
    let compartment = Compartment::resolve(&definitions, &search_parameters)?;
    let root_elements = elements::resolve(&definitions)?;
    let attachments = attachments::resolve(&definitions)?;
    eprintln!(
        "{} resource types; {} elements put a resource into a patient's compartment; {} search parameters",
        definitions.resources.len(),
        compartment.rows.len(),
        search_parameters.lines().count()
    );
    for kept_out in &compartment.kept_out {
        eprintln!("kept out: {kept_out}");
    }
    let version = version.with_search_parameters(&search_parameters);
    let us_core = us_core::table(&us_core::search_parameters(&packages.us_core)?, version)?;
    let files = [
        file("r4/resource-types.txt", resource_types.clone()),
        file("r4/attachments.tsv", attachments::table(&attachments)),
        file("r4/element-types.tsv", element_types.clone()),
        file("r4/patient-compartment.tsv", patient_compartment(&compartment)),
        file("r4/root-elements.tsv", elements::table(&root_elements)),
        file("r4/search-parameters.tsv", search_parameters.clone()),
        file("r4/SOURCE.md", package::source()),
        file("us-core/search-parameters.tsv", us_core),
        file("us-core/SOURCE.md", us_core::source()),
    ];
    committed::settle(workspace, &files, mode, "gen")
}

fn file(name: &str, text: String) -> Generated {
    Generated { path: Path::new("core/data").join(name), text }
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
