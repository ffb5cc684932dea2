#!/bin/sh
# Redraw the figures of README.md and docs/guide.md with the commands shown there, on MNIST with the built-in checkpoints.
# photo.jpg is an input: a photo as a user might take it.
set -eu
cd "$(dirname "$0")/pictures"
MNISTAE_HOME=$(mktemp -d) # an empty store, so that only the built-in checkpoints exist
export MNISTAE_HOME
trap 'rm -rf "$MNISTAE_HOME"' EXIT
unset MNISTAE_CHECKPOINT

mnistae history lab -o loss.png
mnistae reconstruct 1 2
mnistae denoise 1 2
mnistae denoise 1 2 -c lab
mnistae interpolate 1 2 --steps 8
mnistae traverse 1
mnistae reconstruct photo.jpg
mnistae evaluate --extremes 8 -o extremes.png
mnistae map
mnistae report
python ../screenshot.py report.html report.png
rm report.html
