#!/bin/sh
# build.sh FOLDER: the programs with o1js, and keys.json, what checks proofs. Leaves what o1js keeps of the circuits in its
# own cache (~/.cache/o1js), so that later processes compile them in seconds.
set -eu
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
cp program/* "$out"
cd "$out"
# Not `npm ci`: the lock file holds no entries of other platforms' native parts, which o1js itself pins.
npm install --no-audit --no-fund
node --import tsx verifier.ts keys keys.json
