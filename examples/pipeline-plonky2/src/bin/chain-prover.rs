//! The steps of a pipeline that make something. Each finds its inputs in one folder and leaves its outputs in another.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use chain_pipeline::chain::{format_state, walk, Segment, Work};
use chain_pipeline::files::{read, report, write};
use chain_pipeline::keys::Keys;
use chain_pipeline::receipt::{aggregate, prove_segment};
use chain_pipeline::wrapped::Wrapped;

const USAGE: &str = "usage:
  chain-prover setup KEYS           write what all steps must know of the circuits
  chain-prover split IN OUT         IN/public_input into OUT/segments/0, 1, ...
  chain-prover prove KEYS IN OUT    IN/segment into OUT/receipt
  chain-prover agg KEYS IN OUT      IN/inputs/0 and 1 into OUT/receipt
  chain-prover wrap KEYS IN OUT     IN/receipt into OUT/proof";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    report(match words[..] {
        ["setup", keys] => setup(Path::new(keys)),
        ["split", input, output] => split(Path::new(input), Path::new(output)),
        [step @ ("prove" | "agg" | "wrap"), keys, input, output] => {
            Keys::read(Path::new(keys)).and_then(|keys| make(step, &keys, Path::new(input), Path::new(output)))
        }
        _ => Err(USAGE.to_string()),
    })
}

fn setup(path: &Path) -> Result<String, String> {
    let keys = Keys::make()?;
    keys.write(path)?;
    let (rows, wrapped) = (keys.shape.degree_bits(), keys.wrap.common.degree_bits());
    Ok(format!("circuits of 2^{rows} rows, wrapped by one of 2^{wrapped}"))
}

/// Each segment is there, and can be proved, before the next one's beginning is known.
fn split(input: &Path, output: &Path) -> Result<String, String> {
    let work = Work::parse(&read(&input.join("public_input"))?)?;
    let folder = output.join("segments");
    fs::create_dir_all(&folder).map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
    let mut state = work.first();
    for (index, length) in work.lengths().enumerate() {
        let segment = Segment { first: format_state(&state), length };
        let hidden = folder.join(format!(".{index}"));
        write(&hidden, serde_json::to_vec(&segment).map_err(|error| error.to_string())?)?;
        let place = folder.join(index.to_string());
        fs::rename(&hidden, &place).map_err(|error| format!("{} can't be made: {error}", place.display()))?;
        state = walk(state, length);
    }
    let (first, last) = (format_state(&work.first()), format_state(&state));
    let public = serde_json::json!({ "first": first, "last": last, "length": work.length });
    write(&output.join("total_steps"), work.length.to_string())?;
    write(&output.join("output_stream"), &last)?;
    write(&output.join("public_values"), public.to_string())?;
    Ok(format!("{} hashes in {} segments", work.length, work.segments))
}

fn make(step: &str, keys: &Keys, input: &Path, output: &Path) -> Result<String, String> {
    if step == "wrap" {
        let wrapped = Wrapped::of(&read(&input.join("receipt"))?, keys)?;
        write(&output.join("proof"), serde_json::to_vec(&wrapped).map_err(|error| error.to_string())?)?;
        return Ok(format!("wrapped: {} bytes", wrapped.proof.len() / 2));
    }
    let receipt = if step == "prove" {
        let segment: Segment = serde_json::from_slice(&read(&input.join("segment"))?)
            .map_err(|error| format!("the segment is none of a chain: {error}"))?;
        prove_segment(&segment, keys)?
    } else {
        let inputs = input.join("inputs");
        aggregate(&read(&inputs.join("0"))?, &read(&inputs.join("1"))?, keys)?
    };
    let bytes = receipt.to_bytes();
    write(&output.join("receipt"), &bytes)?;
    Ok(format!("proved {} hashes: {} bytes", receipt.statement().length, bytes.len()))
}
