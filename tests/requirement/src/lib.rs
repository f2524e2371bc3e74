//! The list of requirements, and the word of a test that it reached some of them.
//!
//! [`requirement!`] stands inside the test that asserts the rows, **behind** those assertions: a
//! test that fails has then claimed nothing. `cargo xtask requirements` holds the claims of a run against
//! `tests/requirements.toml`, which says whose word counts for which rows.
//!
//! A crate of its own that needs none of ours, so that the tests of every one can use it.

use std::{collections::BTreeSet, fs, io::Write, path::Path, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// Says that the test it stands in has just asserted these requirements, and through which face.
///
/// `via` is the name of a face (`"core"`, `"host"`, `"c"`, `"js"`, `"http-component"`) or anything that is [`Via`],
/// such as the handle of a running server. It has to be reached on the test's own thread, for the record names the test
/// by it.
///
/// ```no_run
/// # fn deletes_a_job() {
/// # let status = 404;
/// assert_eq!(status, 404);
/// ehi_requirement::requirement!("core", "BD-DEL-03", "BD-DEL-05");
/// # }
/// ```
///
/// # Panics
///
/// For an id that `tests/requirements.toml` does not list, whether records are kept or not.
#[macro_export]
macro_rules! requirement {
    ($via:expr, $($id:literal),+ $(,)?) => {
        $crate::reached($crate::Via::via(&$via), module_path!(), &[$($id),+])
    };
}

/// Something that tests go through: names its face.
pub trait Via {
    /// The face: `core`, `host`, `c`, `js` or `http-component`.
    fn via(&self) -> &'static str;
}

impl Via for &'static str {
    fn via(&self) -> &'static str {
        self
    }
}

impl<V: Via + ?Sized> Via for &V {
    fn via(&self) -> &'static str {
        V::via(self)
    }
}

/// Whether `tests/requirements.toml` lists that id.
pub fn is_known(id: &str) -> bool {
    KNOWN.contains(id)
}

/// Records that a test reached these requirements, if `EHI_REQUIREMENTS_DIR` says where; see [`requirement!`].
pub fn reached(via: &str, module: &str, ids: &[&str]) {
    assert!(FACES.contains(&via), "`{via}` is no face; faces are {FACES:?}");
    for id in ids {
        assert!(is_known(id), "`{id}` is not in tests/requirements.toml");
    }
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        let recorded = record(Path::new(&folder), via, &test_name(module), ids);
        assert!(recorded.is_ok(), "the record of {ids:?} cannot be written: {recorded:?}");
    }
}

/// One line of a record file.
#[derive(Serialize)]
struct Record<'r> {
    id: &'r str,
    test: &'r str,
    via: &'r str,
}

/// One file for each process, so that tests of different processes never write to the same one. The lines of a call are
/// written at once: appending keeps those of other threads whole.
fn record(folder: &Path, via: &str, test: &str, ids: &[&str]) -> std::io::Result<()> {
    let mut lines = Vec::new();
    for id in ids {
        serde_json::to_writer(&mut lines, &Record { id, test, via })?;
        lines.push(b'\n');
    }
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.jsonl", std::process::id()));
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(&lines)
}

/// The name under which a test can be run: crate, then the test's path in it. The harness names each test's thread
/// after the test's path, under nextest too, where every test has a process of its own.
fn test_name(module: &str) -> String {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main");
    assert!(test.is_some(), "requirements are claimed on the thread of the test, not by {:?}", thread.name());
    let crate_name = module.split("::").next().unwrap_or_default();
    format!("{crate_name}::{}", test.unwrap_or_default())
}

static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct List {
        requirement: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        id: String,
    }
    let list: Result<List, _> = toml::from_str(include_str!("../../requirements.toml"));
    assert!(list.is_ok(), "tests/requirements.toml cannot be read: {:?}", list.err());
    list.into_iter().flat_map(|list| list.requirement).map(|row| row.id).collect()
});

/// Where records go; without it none are kept.
const FOLDER_VARIABLE: &str = "EHI_REQUIREMENTS_DIR";

const FACES: [&str; 5] = ["core", "host", "c", "js", "http-component"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_guides_is_listed() {
        assert_eq!(KNOWN.len(), 369);
        assert!(is_known("BD-DEL-05") && !is_known("BD-DEL-99"));
    }

    #[test]
    fn records_name_id_test_and_face() {
        let folder = tempfile::tempdir().unwrap();
        let records = folder.path().join("records");
        record(&records, "core", "crate::test", &["BD-DEL-03", "BD-DEL-05"]).unwrap();
        record(&records, "c", "crate::other", &["BD-DEL-05"]).unwrap();
        let files: Vec<_> = fs::read_dir(&records).unwrap().map(|file| file.unwrap().path()).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            "{\"id\":\"BD-DEL-03\",\"test\":\"crate::test\",\"via\":\"core\"}\n\
             {\"id\":\"BD-DEL-05\",\"test\":\"crate::test\",\"via\":\"core\"}\n\
             {\"id\":\"BD-DEL-05\",\"test\":\"crate::other\",\"via\":\"c\"}\n"
        );
    }

    #[test]
    fn a_test_is_named_by_its_thread() {
        let name = test_name(module_path!());
        assert_eq!(name, "ehi_requirement::tests::a_test_is_named_by_its_thread");
    }

    #[test]
    fn a_server_handle_names_its_face() {
        struct Server;
        impl Via for Server {
            fn via(&self) -> &'static str {
                "host"
            }
        }
        let server = &Server;
        assert_eq!((Via::via(&"c"), Via::via(&Server), Via::via(&server)), ("c", "host", "host"));
    }

    #[test]
    #[should_panic(expected = "`BD-DEL-99` is not in tests/requirements.toml")]
    fn an_unknown_id_is_a_mistake() {
        requirement!("core", "BD-DEL-99");
    }

    #[test]
    #[should_panic(expected = "`ffi` is no face")]
    fn an_unknown_face_is_a_mistake() {
        requirement!("ffi", "BD-DEL-05");
    }
}
