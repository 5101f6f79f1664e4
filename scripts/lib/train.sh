# Sourced by scripts/train-*: runs a training module in the training venv.
# scripts:. is on the path because ferd itself crops the faces: training sees the same crops as ferd.
train() { # module, its arguments
  local module=$1 python=${PYTHON:-python3} venv=.venv-train
  shift
  export PYTHONPATH=scripts:.
  # Keep freed memory in the process: a step of a small network then takes 10 % less time.
  export MALLOC_TRIM_THRESHOLD_=2000000000 MALLOC_MMAP_THRESHOLD_=2000000000
  case " $* " in *" --help "* | *" -h "* | *" --check-data "*) exec "$python" -m "$module" "$@" ;; esac
  "$python" -m "$module" --check-data "$@" # report missing data before downloading 2 GB
  if [[ ! -e $venv/complete ]]; then
    echo "creating $venv (about 2 GB, once)"
    "$python" -m venv "$venv"
    # torch with its exact version in the same command, so that pip chooses a build that the others support
    "$venv/bin/pip" install --quiet \
      "torch==2.13.0" "litert-torch==0.10.*" "ai-edge-quantizer==0.10.*" "ai-edge-litert>=2.1" \
      "opencv-python-headless>=4.11,<5" "numpy" "tqdm" "matplotlib"
    touch "$venv/complete"
  fi
  exec "$venv/bin/python" -m "$module" "$@"
}
