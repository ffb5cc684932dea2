#!/bin/sh
# Make the pictures of README.md and docs/guide.md by the commands that stand there: on MNIST, with the built-in checkpoints.
# photo.jpg is not made here: it is what somebody might take.
set -eu
cd "$(dirname "$0")/pictures"
MNISTAE_HOME=$(mktemp -d) # a store without runs: the checkpoints are those that are built in
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
