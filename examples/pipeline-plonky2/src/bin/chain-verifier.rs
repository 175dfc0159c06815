//! Needs nothing but the keys and what it checks. Exit code 1: refused.

use std::path::Path;
use std::process::ExitCode;

use chain_pipeline::chain::{first_of, format_state, Segment, Statement};
use chain_pipeline::files::{read, report};
use chain_pipeline::keys::Keys;
use chain_pipeline::receipt::{join, Receipt};
use chain_pipeline::wrapped::Wrapped;

const USAGE: &str = "usage:
  chain-verifier proof KEYS FILE [START LENGTH]   a finished proof, of the chain that was asked for
  chain-verifier step KEYS IN                     IN/proof, an output of the step that GEVULOT_KIND names,
                                                  against IN/segment or IN/inputs";

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
    let matches = match kind {
        "prove" => is_of_segment(&made, &input.join("segment"))?,
        _ => is_of_inputs(&made, &input.join("inputs"), &keys)?,
    };
    if matches {
        return Ok(made);
    }
    Err("refused: it is not of what it was made of".to_string())
}

fn is_of_segment(made: &Statement, path: &Path) -> Result<bool, String> {
    let segment: Segment = serde_json::from_slice(&read(path)?).map_err(|error| error.to_string())?;
    Ok(format_state(&made.first) == segment.first && made.length == segment.length)
}

/// One input is wrapped, two are aggregated; a finished proof is checked without them.
fn is_of_inputs(made: &Statement, folder: &Path, keys: &Keys) -> Result<bool, String> {
    let input = |index: &str| -> Result<Option<Statement>, String> {
        let path = folder.join(index);
        if !path.exists() {
            return Ok(None);
        }
        Receipt::check(&read(&path)?, keys).map(|receipt| Some(receipt.statement()))
    };
    Ok(match (input("0")?, input("1")?) {
        (Some(left), Some(right)) => join(&left, &right)? == *made,
        (Some(only), None) => only == *made,
        _ => true,
    })
}
