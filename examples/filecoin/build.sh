#!/bin/sh
# build.sh FOLDER: makes the program benchy and what its volume holds: parameters for sectors of 2 KiB, made here by the
# proofs' own tool. FILECOIN_BENCHY=PATH takes a benchy that is there already, e.g. the one of rust-fil-proofs.
set -eu
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
folder=${CARGO_TARGET_DIR:-$out/.target}
# paramcache is a program of a dependency.
cargo build --release --locked --target-dir "$folder" -p benchy -p fil-proofs-param --bin benchy --bin paramcache
cp "${FILECOIN_BENCHY:-$folder/release/benchy}" "$out/benchy"
cp "$folder/release/paramcache" "$out/paramcache"
rm -rf "$out/.target"
cp rust-fil-proofs.config.toml "$out"
mkdir -p "$out/volume/filecoin-proof-parameters"
# Not in a folder with settings: they would win.
cd "$out/volume"
FIL_PROOFS_PARAMETER_CACHE="$out/volume/filecoin-proof-parameters/" BELLMAN_NO_GPU=1 \
  "$out/paramcache" --only-post --sector-sizes 2048
