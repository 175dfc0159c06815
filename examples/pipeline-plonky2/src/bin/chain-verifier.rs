//! Needs nothing but the keys and what it checks. Exit code 1: refused.

use std::path::Path;
use std::process::ExitCode;

use chain_pipeline::chain::{first_of, format_state, Segment, Statement, Work};
use chain_pipeline::files::{read, report};
use chain_pipeline::keys::Keys;
use chain_pipeline::receipt::{join, Receipt};
use chain_pipeline::wrapped::Wrapped;

const USAGE: &str = "usage:
  chain-verifier proof KEYS FILE [START LENGTH]   a finished proof, of the chain that was asked for
  chain-verifier step KEYS IN                     IN/proof, an output of the step that GEVULOT_KIND names,
                                                  against what is there of IN/segment, IN/inputs and
                                                  IN/public_input, the chain that was asked for";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let end = match words[..] {
        ["proof", keys, file] => proof(Path::new(keys), Path::new(file), None),
        ["proof", keys, file, start, length] => match (start.parse(), length.parse()) {
            (Ok(start), Ok(length)) => proof(Path::new(keys), Path::new(file), Some((start, length))),
            _ => Err(USAGE.to_string()),
        },
        ["step", keys, input] => {
            step(&std::env::var("GEVULOT_KIND").unwrap_or_default(), Path::new(keys), Path::new(input))
        }
        _ => Err(USAGE.to_string()),
    };
    report(end.map(|statement| {
        let Statement { first, last, length } = statement;
        format!("valid: {length} hashes from {} end in {}", format_state(&first), format_state(&last))
    }))
}

fn proof(keys: &Path, file: &Path, asked: Option<(u64, u64)>) -> Result<Statement, String> {
    let statement = Wrapped::check(&read(file)?, &Keys::read(keys)?).map_err(|reason| format!("refused: {reason}"))?;
    match asked {
        Some((start, length)) if statement.first != first_of(start) || statement.length != length => Err(format!(
            "refused: it is of {} hashes from {}, not of what was asked for",
            statement.length,
            format_state(&statement.first)
        )),
        _ => Ok(statement),
    }
}

fn step(kind: &str, keys: &Path, input: &Path) -> Result<Statement, String> {
    let keys = Keys::read(keys)?;
    let bytes = read(&input.join("proof"))?;
    let made = match kind {
        "snark" => Wrapped::check(&bytes, &keys),
        "prove" | "agg" => Receipt::check(&bytes, &keys).map(|receipt| receipt.statement()),
        _ => return Err(format!("GEVULOT_KIND must be prove, agg or snark, not {kind:?}")),
    };
    let made = made.map_err(|reason| format!("refused: {reason}"))?;
    let mut checks = 0;
    let mut demand = |holds: bool, what: &str| {
        checks += 1;
        if holds { Ok(()) } else { Err(format!("refused: it is not of {what}")) }
    };
    if let Some(bytes) = read_some(&input.join("segment"))? {
        let segment: Segment = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        demand(format_state(&made.first) == segment.first && made.length == segment.length, "its segment")?;
    }
    if let Some(of_inputs) = statement_of_inputs(&input.join("inputs"), &keys)? {
        demand(of_inputs == made, "what it was made of")?;
    }
    if let Some(bytes) = read_some(&input.join("public_input"))? {
        let work = Work::parse(&bytes)?;
        demand(made.first == work.first() && made.length == work.length, "the chain that was asked for")?;
    }
    if checks == 0 {
        return Err("refused: neither segment nor inputs nor public_input says what it must be of".to_string());
    }
    Ok(made)
}

/// One input is wrapped, two are aggregated; none are there of what was begun with a given receipt.
fn statement_of_inputs(folder: &Path, keys: &Keys) -> Result<Option<Statement>, String> {
    let input = |index: &str| -> Result<Option<Statement>, String> {
        let bytes = read_some(&folder.join(index))?;
        bytes.map(|bytes| Receipt::check(&bytes, keys).map(|receipt| receipt.statement())).transpose()
    };
    Ok(match (input("0")?, input("1")?) {
        (Some(left), Some(right)) => Some(join(&left, &right)?),
        (only, _) => only,
    })
}

fn read_some(path: &Path) -> Result<Option<Vec<u8>>, String> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}
