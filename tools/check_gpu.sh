#!/usr/bin/env bash
# Checks all that needs a GPU: build, tests, compute-sanitizer, benchmarks. Goes through every part, whatever fails, then
# prints a summary; exits with 1 if a part failed.
#
#     tools/check_gpu.sh                  # all parts, of at most LIMIT (580) seconds each
#     tools/check_gpu.sh build tests      # some of them
#     OUT=folder tools/check_gpu.sh       # where logs and results go; default: build/check_gpu
#
# It installs into the environment of PYTHON (python3; 3.11 or later), which needs what pyproject.toml requires to build,
# CuPy and pytest, and PyTorch and JAX where the benchmark is to compare with them. ARCHITECTURES are CMake's words; by
# default that of the GPU at hand alone. SANITIZED is what runs under compute-sanitizer, many times slower than without.
set -u
cd "$(dirname "$0")/.." || exit

python=${PYTHON:-python3}
out=$(realpath -m "${OUT:-build/check_gpu}")
read -ra sanitized <<< "${SANITIZED:-tests/ops}"
parts=("$@")
[ $# -gt 0 ] || parts=(build doctor tests memcheck racecheck initcheck synccheck bench)
mkdir -p "$out"

failed=0
summary=
for part in "${parts[@]}"; do
  # -P: the source folder, which has no compiled modules, must not be found before the installed package.
  case $part in
    build)
      command=("$python" -m pip install --no-build-isolation --no-deps -v -C cmake.define.FASTCONV_CUDA=ON
        -C "cmake.define.CMAKE_CUDA_ARCHITECTURES=${ARCHITECTURES:-native}" .)
      ;;
    doctor) command=("$python" -P -m fastconv doctor) ;;
    tests) command=("$python" -P -m pytest -q -m cuda tests) ;;
    memcheck | racecheck | initcheck | synccheck)
      command=(compute-sanitizer --tool "$part" --error-exitcode 86
        "$python" -P -m pytest -q -m cuda "${sanitized[@]}")
      ;;
    bench) command=("$python" benchmarks/gpu.py --quick --out "$out") ;;
    *)
      echo "a part must be build, doctor, tests, memcheck, racecheck, initcheck, synccheck or bench. Received: $part" >&2
      exit 2
      ;;
  esac
  echo "== $part"
  start=$SECONDS
  PYTHONUNBUFFERED=1 timeout "${LIMIT:-580}" "${command[@]}" 2>&1 | tee "$out/$part.log" | tail -n 40
  status=${PIPESTATUS[0]}
  case $status in
    0) word=passed ;;
    124) word="FAILED: not done in time" ;;
    *) word="FAILED with status $status" ;;
  esac
  [ "$status" -eq 0 ] || failed=1
  summary+="$part: $word, $((SECONDS - start)) s"$'\n'
done
printf '== summary (logs: %s)\n%s' "$out" "$summary"
exit $failed
