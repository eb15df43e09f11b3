# What the scripts that run a Java server have in common; sourced, not run.
# They set: name (for messages), dir (the server's folder).

cache=${WEIR_CACHE:-$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../../.cache}
heap=${HEAP:-512m}

die() { echo "$name: $*" >&2; exit 1; }

# find_jdk MIN: the first JDK of release MIN or newer, among JAVA_HOME, the java on the PATH, and
# what is installed beside it or in /usr/lib/jvm.
find_jdk() {
  local home release onpath
  onpath=$(dirname "$(dirname "$(realpath "$(command -v javac || echo /nowhere/bin/javac)")")")
  for home in "${JAVA_HOME:-}" "$onpath" "$(dirname "$onpath")"/* /usr/lib/jvm/*; do
    [ -n "$home" ] && [ -x "$home/bin/javac" ] || continue
    release=$("$home/bin/javac" -version 2>&1 | sed -E 's/^javac ([0-9]+).*/\1/')
    if [ "$release" -ge "$1" ]; then echo "$home"; return 0; fi
  done
  return 1
}

# Maven Central by its ordinary client.
maven() { command -v mvn >/dev/null || die "needs mvn (apt-get install maven)"; mvn -B -q -Dstyle.color=never "$@"; }

# free_port: a port that nothing listens on, below the range of outgoing connections.
free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 12000))
    if ! listens "$port"; then echo "$port"; return; fi
  done
  die "no free port found"
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A pid that the system gave to another program since is not ours. A process has no command line for
# a moment while it becomes another program, so a second look is taken.
running() { is_ours || { sleep 0.5 && is_ours; }; }
is_ours() { [ -s "$dir/pid" ] && grep -qsaF "$dir" "/proc/$(cat "$dir/pid")/cmdline"; }

# request PATH: GET from the server that was started in $dir.
request() {
  local secure=()
  if [ -s "$dir/ca" ]; then secure=(--cacert "$(cat "$dir/ca")" --user "$(cat "$dir/user")"); fi
  curl -sf --noproxy '*' --max-time 10 ${secure[@]+"${secure[@]}"} "$(cat "$dir/url")$1"
}

# await_ready LOG: returns when the cluster answers and its shards are there.
await_ready() {
  local end=$((SECONDS + 180))
  until request '/_cluster/health?wait_for_status=yellow&timeout=5s' >/dev/null; do
    running || { tail -n 20 "$1" >&2; die "ended while starting"; }
    [ $SECONDS -lt $end ] || { tail -n 20 "$1" >&2; die "not ready after 180 s"; }
    sleep 0.3
  done
  echo "ready: $(cat "$dir/url")"
}

stop() {
  if ! running; then rm -f "$dir/pid"; echo "not running"; return; fi
  local pid; pid=$(cat "$dir/pid")
  kill "$pid"
  for _ in $(seq 300); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
  if [ -d "/proc/$pid" ]; then kill -9 "$pid"; fi
  rm -f "$dir/pid"
  echo "stopped"
}
