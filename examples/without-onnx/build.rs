//! Which model is built in: the folder in `WELLFORMED_NATIVE`, or the small one that lies here.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=WELLFORMED_NATIVE");
    let here = env::var("CARGO_MANIFEST_DIR").expect("Cargo sets CARGO_MANIFEST_DIR");
    let here = Path::new(&here);
    // A relative path is meant from the root of the project, where Cargo is called.
    let root = here.ancestors().nth(2).expect("this crate lies two folders below the root");
    let folder = env::var("WELLFORMED_NATIVE").map_or_else(|_| here.join("native"), |path| root.join(path));
    for file in ["model.rs", "model.bpk"] {
        let file = folder.join(file);
        println!("cargo::rerun-if-changed={}", file.display());
        if !file.is_file() {
            println!(
                "cargo::error={} is not there; WELLFORMED_NATIVE must name a folder that the stage export wrote, such as models/native",
                file.display()
            );
            return;
        }
    }
    let folder = fs::canonicalize(&folder).expect("the folder is there");
    println!("cargo::rustc-env=WELLFORMED_NATIVE={}", folder.display());
}
