//! No decision is made outside the component: one that was built to say so is heard over HTTP.

use ehi_tests::server::{MANY_FILES, Server, component, sample};

#[test]
fn what_the_component_says_is_what_clients_read() {
    let data = sample(20, 1);
    let marked = component("engine-marker");
    let arguments = [&MANY_FILES[..], &["--component", marked.to_str().expect("UTF-8")]].concat();
    let server = Server::start(data.path(), &arguments);
    let progress = progress(&server);
    let unmarked = progress.strip_suffix(" (marked component)");
    assert!(unmarked.is_some_and(is_plain), "{progress}");
}

#[test]
fn the_component_that_is_built_in_is_not_marked() {
    let data = sample(20, 1);
    let server = Server::start(data.path(), &MANY_FILES);
    let progress = progress(&server);
    assert!(is_plain(&progress), "{progress}");
}

fn progress(server: &Server) -> String {
    let (_, running) = server.catch_running("$export");
    running.header("x-progress").expect("X-Progress").to_owned()
}

fn is_plain(progress: &str) -> bool {
    progress.starts_with("running: ") && progress.ends_with(" files")
}
