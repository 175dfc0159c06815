#!/bin/sh
# build.sh FOLDER: makes the programs chain-prover and chain-verifier, and chain.keys, what they must know of the circuits.
set -eu
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
target=x86_64-unknown-linux-gnu
folder=${CARGO_TARGET_DIR:-$out/.target}
# plonky2 1.0.0 asks for features that stable Rust has only under this name.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS='-C target-feature=+crt-static'
cargo build --release --locked --target "$target" --target-dir "$folder"
cp "$folder/$target/release/chain-prover" "$folder/$target/release/chain-verifier" "$out"
rm -rf "$out/.target"
"$out/chain-prover" setup "$out/chain.keys"
