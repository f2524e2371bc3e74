//! `ehi`: the server and the command line. See `ehi --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ehi_host::cli::run()
}
