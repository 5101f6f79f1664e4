# Sourced by scripts/train-*: runs a training module in the training venv.
# scripts:. on the path, since ferd itself cuts the faces: training sees what use sees.
train() { # module, its arguments
  local module=$1 python=${PYTHON:-python3} venv=.venv-train
  shift
  export PYTHONPATH=scripts:.
  # Memory that a step gives back is kept for the next one: a tenth less work for a small net.
  export MALLOC_TRIM_THRESHOLD_=2000000000 MALLOC_MMAP_THRESHOLD_=2000000000
  case " $* " in *" --help "* | *" -h "* | *" --check-data "*) exec "$python" -m "$module" "$@" ;; esac
  "$python" -m "$module" --check-data "$@" # tell what is missing before 2 GB are fetched
  if [[ ! -e $venv/complete ]]; then
    echo "making $venv (about 2 GB, once)"
    "$python" -m venv "$venv"
    # torch by its exact version in the same line: so pip takes the build that the others agree with
    "$venv/bin/pip" install --quiet \
      "torch==2.13.0" "litert-torch==0.10.*" "ai-edge-quantizer==0.10.*" "ai-edge-litert>=2.1" \
      "opencv-python-headless>=4.11,<5" "numpy" "tqdm" "matplotlib"
    touch "$venv/complete"
  fi
  exec "$venv/bin/python" -m "$module" "$@"
}
