# Tools that the checks need, kept outside the repository. Sourced by `.ci/run` and `tests/clients/run`.
# shellcheck shell=bash

cache=${XDG_CACHE_HOME:-$HOME/.cache}/closeout-ci
buf_version=1.75.0
buf_sha256_x86_64=fad1e38d6909bbb583a4da81d8c02a01046e2cd663bde7e337dd24277393764b # the same file as in npm's @bufbuild/buf
buf=$cache/buf-$buf_version/bin/buf

# From Debian, as root.
install_packages() {
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then echo "please install: $*" >&2 && return 1; fi
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3) output
  "${apt[@]}" update || true
  output=$(DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --yes --no-install-recommends "$@" 2>&1 </dev/null) ||
    { printf '%s\n' "$output" >&2 && return 1; }
}

# A Python environment in this folder, with what pip is told to install. It is moved there when it is complete, so only
# `bin/python` works in it: the scripts beside it name the folder where it was made.
install_python() { # FOLDER PIP-ARGUMENTS...
  local folder=$1 new
  shift
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv || return
  mkdir -p "$cache" || return
  new=$(mktemp -d "$cache/new.XXXXXX") || return
  if python3 -m venv "$new" &&
    "$new/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps "$@"; then
    rm -rf "$folder" && mv -T "$new" "$folder"
  else
    rm -rf "$new"
    return 1
  fi
}

# From PyPI: a wheel that holds the one binary.
install_buf() {
  [[ ! -x $buf ]] || return 0
  install_python "${buf%/bin/buf}" "buf-bin==$buf_version" || return
  [[ $(uname -m) != x86_64 ]] || echo "$buf_sha256_x86_64  $buf" | sha256sum --check --quiet ||
    { rm -rf "${buf%/bin/buf}" && return 1; }
}
