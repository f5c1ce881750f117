//! Writes the files in `monitoring/` that follow from this crate: `cargo run --release -p wellformed-kibana --example
//! assets`, in the project's root. A test holds the files against the code.

use std::path::Path;
use std::process::ExitCode;

use wellformed_core::files::write_whole;
use wellformed_kibana::assets::files;

fn main() -> ExitCode {
    for (path, text) in files() {
        if let Err(error) = write_whole(Path::new(path), |writer| Ok(writer.write_all(text.as_bytes())?)) {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
        println!("{path}");
    }
    ExitCode::SUCCESS
}
