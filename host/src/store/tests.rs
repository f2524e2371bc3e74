//! Stores that other versions of this program have written.

use tempfile::TempDir;

use super::*;

/// What the first version made, with a job, one of its files, and a poll account.
const VERSION_1: &str = r#"
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE job (
        id TEXT PRIMARY KEY, record TEXT NOT NULL, version INTEGER NOT NULL, wake_at INTEGER,
        unfinished INTEGER NOT NULL, client TEXT
    ) WITHOUT ROWID;
    CREATE INDEX job_wake_at ON job (wake_at);
    CREATE TABLE row (
        job TEXT NOT NULL, section INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (job, section, number), UNIQUE (job, name)
    ) WITHOUT ROWID;
    CREATE TABLE account (
        job TEXT NOT NULL, client TEXT NOT NULL, next_allowed INTEGER NOT NULL, strikes INTEGER NOT NULL,
        PRIMARY KEY (job, client)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;
    INSERT INTO setting VALUES ('holder', 'as-before');
    INSERT INTO job VALUES ('j', '{}', 7, 5, 1, 'app');
    INSERT INTO row VALUES ('j', 0, 1, 'a.ndjson',
        '{"section":"output","type":"Patient","name":"a.ndjson","key":"j/a","count":1,"bytes":2,"sha256":null}');
    INSERT INTO account VALUES ('j', 'app', 9, 2);
"#;

#[test]
fn a_store_of_the_first_version_goes_on() {
    let here = TempDir::new().unwrap();
    let path = here.path().join("jobs.sqlite");
    Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();
    // The second time it is of the present version already.
    for _ in 0..2 {
        let store = JobStore::open(&path).unwrap();
        assert_eq!(store.holder(), "as-before");
        assert_eq!(store.load("j").unwrap().unwrap().version, 7);
        assert_eq!((store.due(5).unwrap(), store.active(Some("app")).unwrap()), (vec!["j".to_owned()], 1));
        assert_eq!(store.account("j", "app").unwrap(), PollAccount { next_allowed: 9, strikes: 2 });
        let rows = store.rows("j", None, (-1, 0)).unwrap();
        assert_eq!(rows.iter().map(|(_, row)| (row.name.as_str(), row.page)).collect::<Vec<_>>(), [("a.ndjson", None)]);
        assert_eq!(store.row("j", "a.ndjson").unwrap().unwrap().bytes, 2);
    }
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let here = TempDir::new().unwrap();
    let path = here.path().join("jobs.sqlite");
    let version = |database: &Connection| database.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let database = Connection::open(&path).unwrap();
    database.execute_batch(&format!("PRAGMA user_version = {}", SCHEMA_VERSION + 1)).unwrap();
    drop(database);
    assert!(JobStore::open(&path).is_err());
    assert_eq!(version(&Connection::open(&path).unwrap()).unwrap(), SCHEMA_VERSION + 1);
}
