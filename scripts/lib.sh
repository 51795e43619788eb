# shellcheck shell=bash disable=SC2034
# What the scripts share; they source it.

script="scripts/${0##*/}"
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

# die CODE MESSAGE
die() { echo "$script: $2" >&2 && exit "$1"; }

# needs TOOL:PACKAGE…
needs() {
    local pair
    for pair; do
        command -v "${pair%%:*}" >/dev/null || die 1 "${pair%%:*} is missing; apt-get install ${pair##*:}"
    done
}

# parse ARGUMENT…: replaces the defaults of `options`, which take a value, and sets `flags` to true. Adds
# other words to `operands`, and those after -- to `rest`.
declare -A options=() flags=()
operands=() rest=() given=()
parse() {
    given=("$@")
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) usage && exit 0 ;;
            --)
                rest=("${@:2}")
                [ $# -gt 1 ] || die 2 "no command after --; see $script --help"
                return
                ;;
            --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        esac
        if [[ $1 == --?* && -v options[${1#--}] ]]; then
            [ $# -ge 2 ] || die 2 "$1 needs a value; see $script --help"
            options[${1#--}]=$2
            shift
        elif [[ $1 == --?* && -v flags[${1#--}] ]]; then
            flags[${1#--}]=true
        elif [[ $1 == -* ]]; then
            die 2 "unknown argument '$1'; see $script --help"
        else
            operands+=("$1")
        fi
        shift
    done
}

# no_operands: refuses words that are no options.
no_operands() { [ ${#operands[@]} -eq 0 ] || die 2 "unknown argument '${operands[0]}'; see $script --help"; }

# quoted WORD…: a line for a shell, with quotes only where it needs them.
quoted() {
    local word line=""
    for word; do
        [[ $word =~ ^[A-Za-z0-9_./:,%+=@-]+$ ]] || word=${word@Q}
        line+=" $word"
    done
    echo "${line# }"
}

# own_command: the line that runs this script again, with all its arguments.
own_command() { quoted "$script" "${given[@]}"; }

# value FILE: its first line, or "unknown".
value() { head -n 1 "$1" 2>/dev/null || echo "unknown"; }

# commit: that of the work tree.
commit() {
    local changes=""
    [ -z "$(git status --porcelain 2>/dev/null)" ] || changes=", with local changes"
    echo "$(git rev-parse --short=12 HEAD 2>/dev/null || echo "none")$changes"
}

# build_tree TREE TARGET: builds the program of a work tree; sets `built` to its path.
build_tree() {
    # Older revisions have no profile dist; their release had its settings.
    local profile=dist
    grep -q '^\[profile\.dist\]' "$1/Cargo.toml" || profile=release
    CARGO_TARGET_DIR="$2" cargo build --profile "$profile" --locked --bin udperf --manifest-path "$1/Cargo.toml"
    built="$2/$profile/udperf"
}

# The name of the machine in kept files; never the real host name.
default_host="$(uname -m)-$(nproc)c"

# begin_results TOPIC HOST: enters the repository, and sets `folder` to that of the results.
begin_results() {
    local word
    for word; do
        [[ $word =~ ^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$ ]] ||
            die 2 "'$word': topic and host may hold letters and digits, and single dashes, dots or underscores between them"
    done
    cd "$repository" || exit 1
    host=$2 folder="results/$(date -u +%F)-$2-$1"
    [ ! -e "$folder" ] || die 1 "$folder exists; choose another topic, or move the folder"
}

# begin_draft: makes the folders `draft` and `scratch`, which are removed at the end.
begin_draft() {
    mkdir -p results
    # In results/ itself, so that the last step is a rename on one file system; *.tmp is not tracked.
    draft=$(mktemp -d --suffix=.tmp results/draft-XXXXXX)
    scratch=$(mktemp -d)
    chmod 755 "$draft" "$scratch"
    trap clean_up EXIT
    trap 'die 130 "interrupted; nothing kept"' INT TERM HUP
}

server_pid="" client_pid=""
clean_up() {
    local pid
    for pid in $client_pid $server_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$draft" "$scratch"
}

# keep_draft: the draft becomes the folder of the results.
keep_draft() {
    [ ! -e "$folder" ] || die 1 "$folder was created meanwhile; nothing kept"
    mv -T "$draft" "$folder"
    echo "kept in $folder" >&2
}

# readme_head TITLE COMMAND STARTED UDPERF: the heading of a README, and a table of the run.
readme_head() {
    local cpu virtual
    printf '%s\n' "# $1 on $host" "" "| | |" "| --- | --- |" "| what | \`$2\` |" "| when | $3 |" "| udperf | $4 |"
    cpu=$(grep -m 1 'model name' /proc/cpuinfo 2>/dev/null | sed 's/^[^:]*: *//' || true)
    virtual=$(grep -q -m 1 -w hypervisor /proc/cpuinfo 2>/dev/null && echo "yes" || echo "not seen")
    echo "| machine | $host: ${cpu:-unknown processor}, $(nproc) cores, $(uname -sr) |"
    echo "| virtual, governor | $virtual, $(value /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor) |"
    echo "| rmem_max, wmem_max | $(value /proc/sys/net/core/rmem_max), $(value /proc/sys/net/core/wmem_max) |"
}
