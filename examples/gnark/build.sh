#!/bin/sh
# build.sh FOLDER: makes the program chain, and its keys chain.pk and chain.vk.
set -eu
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags='-s -w' -o "$out/chain" .
"$out/chain" setup "$out"
