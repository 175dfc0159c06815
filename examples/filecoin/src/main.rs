//! A benchmark on the command line: `benchy winning-post --size 2KiB --fake`. It knows nothing of tasks and virtual
//! machines. Settings come from `rust-fil-proofs.config.toml` in its folder, parameters from where that says, and its
//! sector is a temporary file.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use filecoin_proofs::{
    fauxrep_aux, generate_winning_post, verify_winning_post, with_shape, MerkleTreeTrait, PoRepConfig,
    PoStConfig, PoStType, PrivateReplicaInfo, PublicReplicaInfo, SUPPORTED_SECTOR_SIZES,
    WINNING_POST_CHALLENGE_COUNT, WINNING_POST_SECTOR_COUNT,
};
use rand::{rngs::OsRng, RngCore};
use serde_json::json;
use storage_proofs_core::{api_version::ApiVersion, sector::SectorId, settings::SETTINGS};

const USAGE: &str = "usage: benchy winning-post --size 2KiB|8MiB|512MiB|32GiB|64GiB --fake";
const API_VERSION: ApiVersion = ApiVersion::V1_1_0;
const POREP_ID: [u8; 32] = [7; 32];

fn main() -> ExitCode {
    fil_logger::init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // The reasons in one line, and no backtrace, whatever RUST_BACKTRACE says.
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["winning-post", "--size", size, "--fake"] | ["winning-post", "--fake", "--size", size] => {
            let bytes = parse_size(size)?;
            ensure!(SUPPORTED_SECTOR_SIZES.contains(&bytes), "there are no sectors of {size}");
            with_shape!(bytes, winning_post, bytes)
        }
        _ => bail!(USAGE),
    }
}

fn parse_size(text: &str) -> Result<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    units
        .iter()
        .find_map(|(unit, bits)| Some(text.strip_suffix(unit)?.parse::<u64>().ok()? << bits))
        .with_context(|| format!("{text} is no size. {USAGE}"))
}

/// A sector of zeros with a made-up commitment, a proof that it is stored, and the check of that proof.
fn winning_post<Tree: 'static + MerkleTreeTrait>(sector_bytes: u64) -> Result<()> {
    let config = PoStConfig {
        sector_size: sector_bytes.into(),
        challenge_count: WINNING_POST_CHALLENGE_COUNT,
        sector_count: WINNING_POST_SECTOR_COUNT,
        typ: PoStType::Winning,
        priority: true,
        api_version: API_VERSION,
    };
    let parameters = config.get_cache_params_path::<Tree>()?;
    ensure!(
        parameters.exists(),
        "no parameters for sectors of {sector_bytes} bytes: {} is not there (paramcache makes it)",
        parameters.display()
    );
    let folder = tempfile::tempdir().context("no folder for the sector")?;
    let sector = folder.path().join("sealed");
    let cache = folder.path().join("cache");
    std::fs::create_dir(&cache)?;
    let porep = PoRepConfig::new_groth16(sector_bytes, POREP_ID, API_VERSION);
    let comm_r = fauxrep_aux::<_, _, _, Tree>(&mut OsRng, &porep, &cache, &sector)?;
    let sector_id = SectorId::from(0);
    let private = [(sector_id, PrivateReplicaInfo::<Tree>::new(sector, comm_r, cache)?)];
    let public = [(sector_id, PublicReplicaInfo::new(comm_r)?)];
    let (randomness, prover) = (random_element(), random_element());

    let begun = Instant::now();
    let proof = generate_winning_post::<Tree>(&config, &randomness, &private, prover)?;
    let proved = begun.elapsed();
    let begun = Instant::now();
    let valid = verify_winning_post::<Tree>(&config, &randomness, &public, prover, &proof)?;
    let verified = begun.elapsed();
    ensure!(valid, "the proof does not hold");
    println!(
        "{}",
        json!({
            "benchmark": "winning-post",
            "inputs": { "sector_size": sector_bytes, "fake": true },
            "outputs": {
                "gen_winning_post_wall_time_ms": proved.as_millis() as u64,
                "verify_winning_post_wall_time_ms": verified.as_millis() as u64,
                "proof": hex(&proof),
                "sector": hex(&comm_r),
                "randomness": hex(&randomness),
                "prover": hex(&prover),
            },
            "parameters": SETTINGS.parameter_cache,
            "sectors": folder.path(),
        })
    );
    Ok(())
}

/// Bytes that stand for an element of the field: the two highest bits are clear.
fn random_element() -> [u8; 32] {
    let mut bytes = [0; 32];
    OsRng.fill_bytes(&mut bytes);
    bytes[31] &= 0x3f;
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
