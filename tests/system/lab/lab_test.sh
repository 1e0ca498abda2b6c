#!/usr/bin/env bash
# Proves what scripts/lab promises. Run on the host as root, not in a lab.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit
lab=scripts/lab
passed=0 failed=0
work=$(mktemp -d /var/tmp/panal-lab-test.XXXXXX)
trap 'rm -rf "$work"' EXIT

ok() { # ok DESCRIPTION COMMAND...: the command must succeed
  local what=$1; shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $what" >&2; fi
}
code_is() { local want=$1; shift; "$@" >"$work/out" 2>&1; local got=$?
  [ "$got" -eq "$want" ] || { echo "  exit code $got, not $want:" >&2; cat "$work/out" >&2; return 1; }; }
# nothing_left NAME: no cgroup, directory, process or mount of that lab, after at most 20 s.
nothing_left() {
  for _ in $(seq 200); do
    if [ -z "$(ls -d /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1" 2>/dev/null)" ] &&
       [ ! -e "/var/tmp/panal-lab/$1" ] && ! grep -q "panal-lab/$1" /proc/self/mountinfo; then
      return 0
    fi
    sleep 0.1
  done
  ls -d /sys/fs/cgroup/*/"$1" "/var/tmp/panal-lab/$1" >&2
  return 1
}
wait_for() { for _ in $(seq 200); do [ -e "$1" ] && return 0; sleep 0.1; done; return 1; }
gone() { for _ in $(seq 200); do [ -d "/proc/$1" ] || return 0; sleep 0.1; done; return 1; }

ok "passes the exit code through" code_is 7 $lab sh -c 'exit 7'
ok "reports death by signal as 128+N" code_is 137 $lab sh -c 'kill -9 $$'
ok "says 127 for a missing program" code_is 127 $lab no-such-program
ok "refuses unknown options" code_is 125 $lab --nonsense true
ok "refuses to nest" code_is 125 env PANAL_LAB=1 $lab true

# shellcheck disable=SC2016  # expanded in the lab
ok "has networks, processes, /run, /tmp of its own" $lab sh -ec '
  test "$(ls /sys/class/net | grep -vc 0$)" = 1
  ip link show lo | grep -q UP
  test "$(ls -d /proc/[0-9]* | wc -l)" -lt 8
  test "$(find /run -type f | wc -l)" = 0
  test -z "$(find /tmp -xdev -type f)" && test "$TMPDIR" = /tmp
  test "$(stat -f -c %T /tmp)" != tmpfs'
# shellcheck disable=SC2016
ok "mounts in it are not seen outside" $lab sh -ec 'mkdir /tmp/m; mount -t tmpfs t /tmp/m; umount /tmp/m; rmdir /tmp/m'
# shellcheck disable=SC2016
ok "gives a limited cgroup" $lab --memory 256M sh -ec '
  found=0
  for f in /sys/fs/cgroup/memory/$PANAL_LAB_CGROUP/memory.limit_in_bytes /sys/fs/cgroup/$PANAL_LAB_CGROUP/memory.max; do
    if test -e $f; then test "$(cat $f)" = 268435456; found=1; fi
  done
  test $found = 1'
ok "a command that wants more memory is killed, not the host" code_is 137 $lab --memory 64M \
  python3 -c 'x = bytearray(512 << 20)'

ok "complains about a process left behind" code_is 120 $lab sh -c 'setsid sleep 1000 & exit 0'
ok "complains about a mount left behind" code_is 120 $lab mount -t tmpfs t /mnt
ok "complains about a link left behind" code_is 120 $lab ip link add pnl0 type veth peer name pnl1
# shellcheck disable=SC2016
ok "complains about a cgroup left behind" code_is 120 $lab sh -c \
  'mkdir $(ls -d /sys/fs/cgroup/pids/$PANAL_LAB_CGROUP /sys/fs/cgroup/$PANAL_LAB_CGROUP | tail -1)/x'
# shellcheck disable=SC2016
ok "complains about a loop device left behind" code_is 120 $lab sh -ec \
  'truncate -s 1M /tmp/disk; losetup -f /tmp/disk'
ok "and removed that loop device" sh -c '! losetup -a | grep -q /disk'

# A checkout below /tmp is seen there, and nothing else of the host's /tmp.
below=$(mktemp -d /tmp/panal-lab-test.XXXXXX)
mkdir -p "$below/project/scripts"
cp scripts/lab "$below/project/scripts/"
touch "$below/hidden"
# shellcheck disable=SC2016
ok "shows a checkout that lies below /tmp" env -C "$below/project" scripts/lab sh -ec '
  test -x scripts/lab && test "$(pwd -P)" = "$PWD" && test -e "$PWD/scripts/lab" && test ! -e ../hidden'
ok "refuses another directory below /tmp" code_is 125 env -C "$below" "$PWD/$lab" true
rm -r "$below"

# Killed in the middle: processes, cgroups and directory must go, whoever dies.
cat >"$work/busy.sh" <<'INNER'
setsid sleep 12345 &
mkdir -p /tmp/a/b
mount -t tmpfs t /tmp/a
truncate -s 4M /tmp/disk; losetup -f /tmp/disk
for root in /sys/fs/cgroup/freezer /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -d "$root/$PANAL_LAB_CGROUP" ] && mkdir -p "$root/$PANAL_LAB_CGROUP/d1"
done
if [ -e /sys/fs/cgroup/freezer/$PANAL_LAB_CGROUP ]; then # a frozen process must not be in the way
  sleep 12346 & echo $! >/sys/fs/cgroup/freezer/$PANAL_LAB_CGROUP/d1/cgroup.procs
  echo FROZEN >/sys/fs/cgroup/freezer/$PANAL_LAB_CGROUP/d1/freezer.state
fi
touch "$1"
sleep 12347
INNER
for victim in lab init janitor-and-lab; do
  rm -f "$work/ready"
  $lab bash "$work/busy.sh" "$work/ready" 2>"$work/err" & pid=$!
  ok "the busy lab comes up ($victim)" wait_for "$work/ready"
  name=panal-lab-$pid
  # children of the lab: the janitor and the lab's init
  children=$(cat /proc/$pid/task/$pid/children)
  for child in $children; do
    if [ "$(cat "/proc/$child/comm")" = panal-janitor ]; then janitor=$child; else init=$child; fi
  done
  case $victim in
    lab) kill -9 $pid ;;
    init) kill -9 "$init" ;;
    janitor-and-lab) kill -9 "$janitor"; kill -9 $pid ;;
  esac
  wait $pid 2>/dev/null
  gone "$init"
  if [ $victim = janitor-and-lab ]; then ok "the next lab collects" $lab true; fi
  ok "nothing is left after kill -9 of $victim" nothing_left "$name"
  ok "no loop device is left after kill -9 of $victim" sh -c '! losetup -a | grep -q /disk'
done

rm -f "$work/ready"
# shellcheck disable=SC2016
$lab bash -c 'trap "exit 42" TERM; touch "$1"; while :; do sleep 0.1; done' - "$work/ready" & pid=$!
wait_for "$work/ready"
kill -TERM $pid
wait $pid
ok "SIGTERM reaches the command, whose exit code comes back" [ $? -eq 42 ]

rm -f "$work/ready"
# shellcheck disable=SC2016
$lab bash -c 'touch "$1"; sleep 3' - "$work/ready" & pid=$!
wait_for "$work/ready"
ok "labs run side by side" timeout 60 $lab true
ok "a lab with --machine-settings waits for the others" \
  sh -c "$lab --machine-settings test 1 && ! kill -0 $pid 2>/dev/null"
wait $pid

ksm=/sys/kernel/mm/ksm
settings() { cat $ksm/run $ksm/sleep_millisecs $ksm/pages_to_scan $ksm/advisor_mode /proc/sys/vm/swappiness /proc/swaps \
  /proc/sys/kernel/keys/maxkeys /sys/kernel/mm/transparent_hugepage/enabled; }
before=$(settings)
ok "panal tune can tell that this lab may not change the machine" \
  $lab sh -c '[ -d /run/panal-lab ] && [ ! -e /run/panal-lab/machine-settings ]'
ok "and that this one may" $lab --machine-settings test -e /run/panal-lab/machine-settings
# shellcheck disable=SC2016
change='echo 37 >$0/sleep_millisecs; echo 7 >$0/pages_to_scan; echo scan-time >$0/advisor_mode
  echo 1 >$0/run; echo 42 >/proc/sys/vm/swappiness
  echo 222 >/proc/sys/kernel/keys/maxkeys; echo always >$0/../transparent_hugepage/enabled'
ok "a command that leaves KSM and sysctls changed fails" \
  code_is 120 $lab --machine-settings sh -c "$change" $ksm
ok "what was changed is named" grep -q "changed: $ksm/sleep_millisecs = 37, put back to" "$work/out"
ok "KSM and sysctls are as they were" [ "$(settings)" = "$before" ]
rm -f "$work/ready"
$lab --machine-settings sh -c "$change; touch $work/ready; sleep 60" $ksm 2>/dev/null & pid=$!
wait_for "$work/ready"
kill -9 $pid
wait $pid 2>/dev/null
ok "nothing is left of it" nothing_left "panal-lab-$pid"
ok "KSM and sysctls are as they were after kill -9" [ "$(settings)" = "$before" ]

if [ "$failed" -eq 0 ]; then echo "lab: $passed passed"; else echo "lab: $passed passed, $failed FAILED"; exit 1; fi
