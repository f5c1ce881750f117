//! The model as Rust source and a burnpack, for programs that use Burn and want no ONNX runtime.
//!
//! `burn-import` does the work. It is made for build scripts: it panics where something is wrong, writes the path it
//! was called with into the source, and gives every tensor a random number. [`write`] turns panics into errors and
//! takes the other two away, so that the same model gives the same bytes on every machine.

use std::any::Any;
use std::fs;
use std::panic;
use std::path::Path;
use std::sync::Once;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use burn_pack::{Reader, Writer};
use wellformed_core::files::{sha256_file, write_whole};

/// The model's source: `Model` with `new`, `from_bytes` and `forward`.
pub const SOURCE: &str = "model.rs";
/// The model's weights, 32-bit, in Burn's own format.
pub const WEIGHTS: &str = "model.bpk";
/// What the two are and how to use them.
pub const README: &str = "README.md";

/// Writes an ONNX model as a folder of [`SOURCE`], [`WEIGHTS`] and [`README`], whole or not at all. A folder that is
/// already there is replaced.
///
/// The inputs keep their names as arguments of `forward`; the outputs come as a tuple in the graph's order.
///
/// # Errors
///
/// When the model cannot be read, has an operator that `burn-import` does not know, or the folder cannot be written.
pub fn write(model_onnx: &Path, folder: &Path) -> Result<()> {
    let digest = sha256_file(model_onnx)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
    let writing = tempfile::Builder::new()
        .prefix(".writing-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write to {}", parent.display()))?;

    let raw = writing.path().join("raw");
    generate(model_onnx, &raw)?;
    // burn-import names its files after the model's.
    let raw = raw.join(model_onnx.file_name().with_context(|| format!("{} is no file", model_onnx.display()))?);

    let new = writing.path().join("new");
    let source = fs::read_to_string(raw.with_extension("rs"))?;
    let source = headed(&source, &digest)
        .with_context(|| format!("burn-import wrote unexpected source for {}", model_onnx.display()))?;
    write_whole(&new.join(SOURCE), |file| Ok(file.write_all(source.as_bytes())?))?;
    anonymise(&raw.with_extension("bpk"), &new.join(WEIGHTS))?;
    write_whole(&new.join(README), |file| Ok(file.write_all(EXPLANATION.as_bytes())?))?;

    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    fs::rename(&new, folder).with_context(|| format!("cannot write {}", folder.display()))
}

const EXPLANATION: &str = "\
# The model as Rust source

`model.rs` is the bundle's `model.onnx` as a Burn module, `model.bpk` its weights; the export stage writes both.
A program needs `burn` 0.22 (a device such as `flex`) and `burn-store` 0.22, `include!(\"model.rs\")` in a module of its
own, `Model::from_bytes(...)` on the bytes of `model.bpk`, and `forward(input_ids, attention_mask)`: token ids and 1 for
a token or 0 for padding, both `[batch, sequence]`; back come logits and probabilities, both `[batch, 2]`.
Token ids come from the bundle's `tokenizer.json`, labels and threshold from its `bundle.json`.
";

/// The name of the thread that `burn-import` runs in.
const THREAD: &str = "burn-import";

/// Runs `burn-import`: `folder` gets the source and the burnpack, named after the model.
fn generate(model_onnx: &Path, folder: &Path) -> Result<()> {
    // What goes wrong there is reported below as an error; the panic itself need not be on the terminal as well.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD) {
                report(info);
            }
        }));
    });

    let text = |path: &Path| {
        path.to_str().map(str::to_owned).with_context(|| format!("{} must be a path in UTF-8", path.display()))
    };
    let (input, output) = (text(model_onnx)?, text(folder)?);
    let work = move || {
        use burn_import::onnx::{LoadStrategy, ModelGen};
        // `ModelGen::new` would set up logging for the whole process; its default does not.
        ModelGen::default().input(&input).out_dir(&output).load_strategy(LoadStrategy::Bytes).run_from_cli();
    };
    let worker = thread::Builder::new().name(THREAD.to_owned()).spawn(work).context("cannot start a thread")?;
    worker.join().map_err(|panic| {
        anyhow!("{} cannot be written as Rust source: {}", model_onnx.display(), message(panic.as_ref()))
    })
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("burn-import stopped and did not say why")
}

/// The source with a first line that says what it was made from instead of the path it was made from.
fn headed(source: &str, digest: &str) -> Result<String> {
    let Some((first, rest)) = source.split_once('\n') else { bail!("it is empty") };
    if !first.starts_with("// Generated from ONNX ") {
        bail!("its first line is {first:?} and not a comment on its origin");
    }
    Ok(format!("// @generated by burn-import from a model.onnx with SHA-256 {digest}. Not for editing.\n{rest}"))
}

/// Copies a burnpack without the random numbers that tell parameters apart in training.
fn anonymise(from: &Path, to: &Path) -> Result<()> {
    let copy = || -> Result<(), burn_pack::Error> {
        let reader = Reader::from_file(from)?;
        let metadata = reader.metadata().clone();
        let mut tensors = reader.into_tensors()?;
        for tensor in &mut tensors {
            tensor.param_id = None;
        }
        let writer = Writer::new(tensors);
        metadata.iter().fold(writer, |writer, (key, value)| writer.with_metadata(key, value)).write_to_file(to)
    };
    copy().map_err(|error| anyhow!("cannot write {}: {error}", to.display()))
}
