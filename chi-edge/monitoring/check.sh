#!/usr/bin/env bash
# Checks the monitoring: its files with their own tools, then all of it running against a real fleet.
#
#   check.sh [--install] [--static] [--keep] [PROGRAMS]
#
# PROGRAMS is the folder of Hearthwatch's programs (target/release). --install makes the Python environment and, with root, installs the
# Debian packages; without it nothing is installed. --static starts nothing. --keep leaves everything running until Enter is pressed, for
# a look at Prometheus's own page or for draw.py.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
packages=(prometheus prometheus-alertmanager prometheus-node-exporter prometheus-blackbox-exporter prometheus-mqtt-exporter mosquitto mosquitto-clients)
environment=${XDG_CACHE_HOME:-$HOME/.cache}/hearthwatch/monitoring
install='' static='' keep='' programs=$here/../../target/release
# The demonstration with ten homes retrains for the first time after about half a minute; a slow machine takes four times as long.
live_seconds=240

while (($#)); do
    case $1 in
        --install) install=1 ;;
        --static) static=1 ;;
        --keep) keep=1 ;;
        -*) echo "check.sh: unknown option $1; see its first lines" >&2; exit 64 ;;
        *) programs=$1 ;;
    esac
    shift
done
PATH=$PATH:/usr/sbin
# The tree stays as it is.
export PYTHONDONTWRITEBYTECODE=1

say() { printf '%s\n' "$*"; }
since() { printf '%d:%02d' $(((SECONDS - $1) / 60)) $(((SECONDS - $1) % 60)); }

prepare() {
    local missing=() program
    for program in prometheus promtool amtool prometheus-alertmanager prometheus-node-exporter prometheus-blackbox-exporter prometheus-mqtt-exporter mosquitto mosquitto_pub; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    if ((${#missing[@]})) && [[ $install ]]; then
        # Debian starts what it installs; nothing of that is wanted here.
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install --yes --no-install-recommends --quiet=2 "${packages[@]}" >/dev/null
    elif ((${#missing[@]})); then
        say "check.sh: missing: ${missing[*]}; install them with: apt-get install --no-install-recommends ${packages[*]}" >&2
        exit 69
    fi
    if [[ $install ]]; then
        [[ -x $environment/bin/python3 ]] || python3 -m venv "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    fi
    python=$environment/bin/python3
    [[ -x $python ]] || { say "check.sh: there is no Python environment in $environment; run check.sh --install once" >&2; exit 69; }
}

# A copy in which the authority lies where prometheus.yml looks for it; the tree holds no certificate.
copy() {
    cp -r "$here/prometheus" "$here/alertmanager" "$here/blackbox" "$here/mqtt-exporter" "$run"
    mkdir -p "$run/prometheus/tls"
}

files() {
    local from=$SECONDS severity
    "$python" "$here/check_rules.py"
    "$python" "$here/check_dashboards.py"
    promtool check config "$run/prometheus/prometheus.yml" >"$run/promtool.log" || { cat "$run/promtool.log" >&2; return 1; }
    say "promtool: $(grep -c 'rules found' "$run/promtool.log") files of rules are right"
    amtool check-config "$here/alertmanager/alertmanager.yml" >/dev/null
    while read -r severity receiver; do
        amtool config routes test --config.file="$here/alertmanager/alertmanager.yml" --verify.receivers="$receiver" \
            "severity=$severity" area=fleet alertname=Any >/dev/null 2>&1 ||
            { say "alertmanager: severity $severity must go to $receiver" >&2; return 1; }
    done <<<$'critical webhook-critical\nwarning webhook\ninfo webhook'
    amtool config routes test --config.file="$here/alertmanager/alertmanager.yml" --verify.receivers=webhook-watchdog \
        severity=none alertname=Watchdog >/dev/null 2>&1
    say "amtool: configuration and 4 routes are right"
    prometheus-blackbox-exporter --config.check --config.file="$here/blackbox/blackbox.yml" 2>"$run/blackbox-check.log" ||
        { cat "$run/blackbox-check.log" >&2; return 1; }
    say "files: $(since "$from")"
}

tests() {
    local from=$SECONDS
    promtool test rules "$here"/prometheus/tests/*.yml >"$run/tests.log" 2>&1 || { cat "$run/tests.log" >&2; return 1; }
    say "promtool test rules: $(cat "$here"/prometheus/tests/*.yml | grep -c '^  - name:') tests in $(since "$from")"
    (cd "$here" && "$python" -m pytest --basetemp "$run/pytest") >"$run/pytest.log" 2>&1 || { cat "$run/pytest.log" >&2; return 1; }
    say "pytest: $(tail -n 1 "$run/pytest.log")"
}

started=()
# Runs a program with its log in the run's folder; it ends with this script.
start() {
    local name=$1
    shift
    "$@" >"$run/$name.log" 2>&1 &
    started+=($!)
}
# Ends one at once, and without bash's word on it.
end() {
    local one left=()
    kill -KILL "$1"
    wait "$1" 2>/dev/null || true
    for one in "${started[@]}"; do [[ $one == "$1" ]] || left+=("$one"); done
    started=("${left[@]}")
}
finish() {
    ((${#started[@]} == 0)) || kill "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    if [[ $failed ]]; then say "check.sh: failed; the logs are in $run" >&2; else rm -rf -- "$run"; fi
}

# Waits until `file` has a line with `pattern`, of a program that must live until then.
line() {
    local file=$1 pattern=$2 pid=$3 count
    for ((count = 0; count < 600; count++)); do
        grep --quiet --extended-regexp "$pattern" "$file" 2>/dev/null && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    say "check.sh: $file never said \"$pattern\"; its last lines:" >&2
    tail -n 5 "$file" >&2
    return 1
}

ports() { "$python" -c 'import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))' "$1"; }

# A fleet as an operator sets one up, for what the demonstration has not: the signed repository.
fleet() {
    (umask 077 && "$programs/hearthwatch-provision" init --out "$run/keys" --host localhost --listen 127.0.0.1 \
        --mqtt-port "$mqtt" --http-port "$https" --broker-dir "$run/broker" >"$run/init.log" 2>&1) || { cat "$run/init.log" >&2; return 1; }
    "$programs/hearthwatch-provision" monitor --out "$run/keys" >>"$run/init.log"
    start mosquitto mosquitto -c "$(realpath "$run/keys/mosquitto/mosquitto.conf")"
    mosquitto=${started[-1]}
    start signer "$programs/hearthwatch-provision" signer --keys "$run/keys/tuf/signer" --gate-public "$run/keys/gate/gate.pub" \
        --socket "$run/keys/signer.sock"
    start cloud "$programs/hearthwatch-cloud" serve --config "$run/keys/cloud.toml"
    cloud=${started[-1]}
}

# An agent without a fleet whose Home Assistant is away: what it does not hear it counts as well.
agent() {
    mkdir -p "$run/home"
    (umask 077 && printf 'a token\n' >"$run/home/token")
    printf 'state = "state"\n[home_assistant]\nurl = "http://127.0.0.1:1"\ntoken_file = "token"\n[page]\nlisten = "127.0.0.1:%s"\n' \
        "$page" >"$run/home/edge.toml"
    start agent "$programs/hearthwatch-edge" run --config "$run/home/edge.toml"
}

# Breaks the fleet as it may break in earnest.
incidents() {
    local looks=("$python" "$here/check_incident.py" --prometheus "http://127.0.0.1:$prometheus" --notices "$run/notices" --deadline 60)
    end "$mosquitto"
    "${looks[@]}" "the broker is killed" BrokerLinkDown
    start mosquitto mosquitto -c "$(realpath "$run/keys/mosquitto/mosquitto.conf")"
    "${looks[@]}" "the broker is back"
    end "$cloud"
    "${looks[@]}" "the aggregator is killed" AggregatorDown
    start cloud "$programs/hearthwatch-cloud" serve --config "$run/keys/cloud.toml"
    # For a quarter of an hour: it was not away for the two minutes after which its restart is no news.
    "${looks[@]}" --ends AggregatorDown "the aggregator is back" AggregatorRestarted
    stranger
    "${looks[@]}" "a home that the aggregator does not know sends" AggregatorRestarted StrangerRefused
}

# Somebody with a certificate of the fleet's authority, whose home has not enrolled with the aggregator.
stranger() {
    "$programs/hearthwatch-provision" home add home-1 --issue --out "$run/keys" >"$run/home.log" 2>&1
    # One message is enough: every counter begins at 0.
    mosquitto_pub -h localhost -p "$mqtt" --cafile "$run/keys/ca/ca.crt" --cert "$run/keys/homes/home-1/agent.crt" \
        --key "$run/keys/homes/home-1/agent.key" -q 1 -t hw/v1/home/home-1/up/feedback -m "no message"
}

live() {
    local from=$SECONDS demonstration
    [[ -x $programs/hearthwatch-emulator && -x $programs/hearthwatch-edge ]] ||
        { say "check.sh: no hearthwatch-emulator or hearthwatch-edge in $programs; run cargo build --release --workspace --bins, or name the folder" >&2; return 1; }
    read -r mqtt https node blackbox alertmanager prometheus webhook page figures < <(ports 9)
    start demonstration "$programs/hearthwatch-emulator" --stay --homes 10 --out "$run/demo"
    demonstration=${started[-1]}
    fleet
    agent
    start node prometheus-node-exporter --web.listen-address="127.0.0.1:$node"
    start webhook "$python" "$here/webhook.py" "$webhook" "$run/notices"
    line "$run/demonstration.log" 'repository at https://' "$demonstration"
    local shown
    shown=$(grep --only-matching 'https://localhost:[0-9]*' "$run/demonstration.log" | head -n 1)

    # Two fleets with an authority each; one file may hold both.
    cat "$run"/demo/run-*/keys/ca/ca.crt "$run/keys/ca/ca.crt" >"$run/prometheus/tls/ca.crt"
    sed -i "s|/etc/hearthwatch/ca.crt|$run/prometheus/tls/ca.crt|" "$run/blackbox/blackbox.yml"
    # A minute of wall time is all there is, so everything is read each second.
    sed -i -E 's/(scrape_interval|evaluation_interval): [0-9]+s/\1: 1s/; s/scrape_timeout: 10s/scrape_timeout: 1s/' "$run/prometheus/prometheus.yml"
    local targets=$run/prometheus/targets
    printf -- '- targets: ["%s"]\n  labels: {machine: "%s", prober: "127.0.0.1:%s"}\n' \
        "localhost:$https" cloud "$blackbox" "${shown#https://}" demonstration "$blackbox" >"$targets/aggregator.yml"
    printf -- '- targets: ["localhost:%s"]\n  labels: {machine: cloud, prober: "127.0.0.1:%s"}\n' "$mqtt" "$blackbox" >"$targets/broker.yml"
    printf -- '- targets: ["127.0.0.1:%s"]\n  labels: {machine: cloud}\n' "$node" >"$targets/node.yml"
    printf -- '- targets: ["127.0.0.1:%s"]\n  labels: {machine: home}\n' "$page" >"$targets/agent.yml"
    printf -- '- targets: ["127.0.0.1:%s"]\n  labels: {machine: cloud}\n' "$figures" >"$targets/mosquitto.yml"
    printf -- '- targets: ["127.0.0.1:%s"]\n' "$alertmanager" >"$targets/alertmanager.yml"
    printf -- '- targets: ["127.0.0.1:%s"]\n' "$prometheus" >"$targets/prometheus.yml"
    printf -- '- targets: ["127.0.0.1:%s"]\n' "$blackbox" >"$targets/blackbox.yml"
    # And what has to last for minutes there, or waits for company, does so for seconds here.
    sed -i -E 's/( for: )[0-9]+[mh]/\13s/' "$run"/prometheus/rules/*.yml
    sed -i -E 's/group_wait: [0-9]+[sm]/group_wait: 1s/' "$run/alertmanager/alertmanager.yml"
    promtool check config "$run/prometheus/prometheus.yml" >"$run/promtool.log" || { cat "$run/promtool.log" >&2; return 1; }

    sed -i -e "s|localhost:8883|localhost:$mqtt|; s|/etc/hearthwatch/ca.crt|$run/keys/ca/ca.crt|" \
        -e "s|/etc/hearthwatch/monitor|$run/keys/monitor/monitor|" "$run/mqtt-exporter/mosquitto.yaml"
    start figures prometheus-mqtt-exporter -config "$run/mqtt-exporter/mosquitto.yaml" -listen-address 127.0.0.1 -listen-port "$figures"
    start blackbox prometheus-blackbox-exporter --config.file="$run/blackbox/blackbox.yml" --web.listen-address="127.0.0.1:$blackbox"
    printf 'http://127.0.0.1:%s/\n' "$webhook" >"$run/webhook"
    start alertmanager "$run/alertmanager/start.sh" "$run/webhook" "$run/alertmanager-run" --storage.path="$run/alertmanager-data" \
        --web.listen-address="127.0.0.1:$alertmanager" --cluster.listen-address=
    start prometheus prometheus --config.file="$run/prometheus/prometheus.yml" --storage.tsdb.path="$run/prometheus-data" \
        --web.listen-address="127.0.0.1:$prometheus" --web.console.templates="$run" --web.console.libraries="$run"
    "$python" "$here/check_live.py" --prometheus "http://127.0.0.1:$prometheus" --alertmanager "http://127.0.0.1:$alertmanager" \
        --notices "$run/notices" --deadline "$live_seconds"
    incidents
    say "live: $(since "$from")"
    if [[ $keep ]]; then
        say "Prometheus is at http://127.0.0.1:$prometheus; draw with: $python $here/draw.py --prometheus http://127.0.0.1:$prometheus --out FOLDER"
        say "the demonstration's aggregator is at $shown, the other at https://localhost:$https; all of it is in $run"
        read -r -p "Enter ends it " || true
    fi
}

failed=1
run=$(mktemp -d)
# mosquitto, started by root, becomes its own user and reads its files in here.
chmod 711 "$run"
trap finish EXIT
prepare
copy
# promtool wants the file to exist; which authority it holds does not matter for the check of the files.
: >"$run/prometheus/tls/ca.crt"
files
tests &
tests=$!
[[ $static ]] || live
wait "$tests"
failed=''
say "monitoring: all is well, $(since 0)"
