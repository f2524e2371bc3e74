//! The lines of a folder by patient, for output that is organised by patient.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
    vec,
};

use anyhow::Result;
use ehi_core::{Definitions, Timestamp, ndjson::Line, population::Population, writer::patients_of};
use rusqlite::{Connection, Row, params};

use super::{
    Block, Blocks,
    catalogue::{Catalogue, Spot, TO_THE_END, signed},
    folder::{FileReader, check_unchanged, locked},
};

/// Lines of one patient that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Empty for lines of nobody.
    pub(super) patient: String,
    /// Whether it comes after the Patient.
    pub(super) is_later: bool,
    pub(super) spot: Spot,
}

impl Run {
    /// A row of patient, place in the block, file, offset and length.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let unsigned = |column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
        let spot = Spot { file: row.get(2)?, offset: unsigned(3)?, length: unsigned(4)? };
        Ok(Self { patient: row.get(0)?, is_later: row.get(1)?, spot })
    }
}

/// Notes whose lines are, as few runs as may be.
pub(super) struct Runs<'c> {
    database: &'c Connection,
    base_url: &'c str,
    /// Whose the present run is, and where it stands.
    present: Option<(BTreeSet<String>, bool, Spot)>,
}

impl<'c> Runs<'c> {
    pub(super) fn new(database: &'c Connection, base_url: &'c str) -> Self {
        Self { database, base_url, present: None }
    }

    pub(super) fn line(&mut self, line: &Line<'_>, spot: &Spot) -> Result<()> {
        let (mut patients, mut is_patient) = (BTreeSet::new(), false);
        if let Line::Text(text) = line {
            patients = patients_of(text, &Definitions::R4, self.base_url);
            is_patient = patients.len() == 1 && names_patient(text);
        }
        // What is nobody's or no resource is given too: it is the writer's to report.
        if patients.is_empty() {
            patients.insert(String::new());
        }
        if let Some((whose, is_later, run)) = &mut self.present
            && *whose == patients
            && *is_later != is_patient
            && run.file == spot.file
            && run.offset + run.length == spot.offset
            && spot.length != TO_THE_END
        {
            run.length += spot.length;
            return Ok(());
        }
        self.end()?;
        self.present = Some((patients, !is_patient, spot.clone()));
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let Some((patients, is_later, spot)) = self.present.take() else { return Ok(()) };
        let sql = "INSERT INTO run (patient, is_later, file, offset, length) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = self.database.prepare_cached(sql)?;
        for patient in patients {
            insert.execute(params![patient, is_later, spot.file, signed(spot.offset), signed(spot.length)])?;
        }
        Ok(())
    }
}

/// Whether the line is a Patient: the only resource that is its patient's by its own id.
fn names_patient(text: &[u8]) -> bool {
    ehi_core::Header::read(text, |_| false).is_ok_and(|header| header.resource_type == "Patient")
}

/// The lines of a folder by patient. The cursor is the patient's id, the offset counts the bytes of the patient's lines.
pub(super) struct PatientBlocks {
    path: PathBuf,
    catalogue: Arc<Mutex<Catalogue>>,
    snapshot: String,
    transaction_time: Timestamp,
    listed: Option<Population<'static>>,
    runs: vec::IntoIter<Run>,
    /// The last run that was looked up.
    last: Option<Run>,
    /// Bytes of the present patient that were given, and those that an earlier attempt took.
    given: u64,
    skip: u64,
    /// Whose lines are given, and whether none of them was yet.
    patient: Option<String>,
    begins: bool,
    reading: Option<Reading>,
}

struct Reading {
    run: Run,
    file: FileReader,
    /// The next superseded line: offset and length.
    superseded: Option<(u64, u64)>,
}

impl PatientBlocks {
    /// From a patient on, and in the patient's lines from an offset on.
    pub(super) fn new(
        path: PathBuf,
        catalogue: Arc<Mutex<Catalogue>>,
        snapshot: String,
        transaction_time: Timestamp,
        listed: Option<Population<'static>>,
        from: Option<(&[u8], u64)>,
    ) -> Result<Self> {
        let (patient, skip) = from.unwrap_or_default();
        let last = locked(&catalogue)?.run_before(&String::from_utf8_lossy(patient))?;
        Ok(Self {
            path,
            catalogue,
            snapshot,
            transaction_time,
            listed,
            runs: Vec::new().into_iter(),
            last,
            given: 0,
            skip,
            patient: None,
            begins: false,
            reading: None,
        })
    }

    fn next_run(&mut self) -> Result<Option<Run>> {
        loop {
            if self.runs.len() == 0 {
                self.runs = locked(&self.catalogue)?.runs(self.last.as_ref())?.into_iter();
            }
            let Some(run) = self.runs.next() else { return Ok(None) };
            self.last = Some(run.clone());
            let is_listed =
                self.listed.as_ref().is_none_or(|listed| run.patient.is_empty() || listed.contains(&run.patient));
            if is_listed {
                return Ok(Some(run));
            }
        }
    }

    /// Opens the next run that is not taken already.
    fn open_next(&mut self) -> Result<bool> {
        let Some(run) = self.next_run()? else { return Ok(false) };
        if self.patient.as_ref() != Some(&run.patient) {
            self.patient = Some(run.patient.clone());
            self.given = 0;
            self.begins = true;
        }
        let taken = self.skip.min(run.spot.length);
        self.skip -= taken;
        self.given += taken;
        let file = FileReader::open(&self.path, &run.spot.file, run.spot.offset + taken)?;
        let mut reading = Reading { run, file, superseded: None };
        reading.look_ahead(&self.catalogue, self.transaction_time)?;
        self.reading = Some(reading);
        Ok(true)
    }
}

impl Blocks for PatientBlocks {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Block>> {
        loop {
            let Some(reading) = &mut self.reading else {
                if self.open_next()? {
                    continue;
                }
                return Ok(None);
            };
            let Some(superseded) = reading.fill(buffer, &self.catalogue, self.transaction_time)? else {
                self.reading = None;
                continue;
            };
            let Run { patient, spot, .. } = &reading.run;
            // Lines are counted from where the run begins: the name says where that is.
            let name = format!("{} from byte {}", spot.file, spot.offset);
            let begins = std::mem::take(&mut self.begins) && !patient.is_empty();
            let begins = begins.then(|| patient.clone());
            let block = Block { name, cursor: patient.clone().into_bytes(), offset: self.given, superseded, begins };
            self.given += buffer.len() as u64;
            return Ok(Some(block));
        }
    }

    fn finish(self: Box<Self>) -> Result<()> {
        check_unchanged(&self.path, &self.snapshot)
    }
}

impl Reading {
    /// The next bytes of the run, and whether they are a superseded line; `None` at its end.
    fn fill(&mut self, buffer: &mut Vec<u8>, catalogue: &Mutex<Catalogue>, at: Timestamp) -> Result<Option<bool>> {
        let offset = self.file.offset();
        let left = self.end().saturating_sub(offset);
        if left == 0 {
            return Ok(None);
        }
        let filled = match self.superseded {
            Some((spot, length)) if spot == offset => {
                let filled = self.file.fill_whole(buffer, length)?;
                self.look_ahead(catalogue, at)?;
                return Ok(filled.map(|_| true));
            }
            Some((spot, _)) => self.file.fill(buffer, spot - offset)?,
            None => self.file.fill(buffer, left)?,
        };
        Ok(filled.map(|_| false))
    }

    fn end(&self) -> u64 {
        self.run.spot.offset.saturating_add(self.run.spot.length)
    }

    fn look_ahead(&mut self, catalogue: &Mutex<Catalogue>, at: Timestamp) -> Result<()> {
        let spot = locked(catalogue)?.superseded(&self.run.spot.file, self.file.offset(), self.end(), at)?;
        self.superseded = spot.map(|spot| (spot.offset, spot.length));
        Ok(())
    }
}
