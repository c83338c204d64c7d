#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hook and agent are root, and have little of root's power.  They and the
# programs that they execute have none of the capabilities that the units of
# systemd take away.  The only capability in effect is to read the files of
# others.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

[[ $EUID == 0 ]] || { echo "not root"; exit 77; }

AGENT=${AGENT:-$PWD/../plugin/ublk-qcow2-agent}
UNIT=$TESTS/../plugin/systemd/ublk-qcow2-agent.service.in
READS=$((1 << 2))		# CAP_DAC_READ_SEARCH

# mask_of WORD...: the bits of capabilities.
mask_of()
{
	local name number mask=0

	for name; do
		number=$(sed -n "s/^#define $name[[:space:]]*\([0-9]*\)$/\1/p" \
			/usr/include/linux/capability.h)
		mask=$((mask | 1 << ${number:?$name}))
	done
	echo "$mask"
}

# has FILE KEY: the value of KEY in a file of /proc/PID/status.
has()
{
	echo $((16#$(sed -n "s/^$2:[[:space:]]*//p" "$1")))
}

# shellcheck disable=SC2046  # into words
GONE=$(mask_of $(sed -n 's/^CapabilityBoundingSet=~//p' "$UNIT"))
ALL=$(has /proc/self/status CapBnd)
((ALL & GONE)) || { echo "nothing to give up"; exit 77; }

# limited WHO FILE: as a process is that has given them up.
limited()
{
	[[ $(has "$2" CapEff) == $((ALL & READS)) ]] ||
		wrong "$1: effective: $(grep Cap "$2")"
	children_limited "$1" "$2"
}

# children_limited WHO FILE: as it is for their children.
children_limited()
{
	[[ $(has "$2" CapBnd) == $((ALL & ~GONE)) &&
		$(has "$2" CapPrm) == $((ALL & ~GONE)) ]] ||
		wrong "$1: of the unit's: $(grep Cap "$2")"
	[[ $(has "$2" CapInh) == 0 && $(has "$2" CapAmb) == 0 ]] ||
		wrong "$1: inheritable: $(grep Cap "$2")"
}

# It looks at its caller, and at itself.
cat >"$WORK/spy" <<-END
	#!/bin/bash
	cp "/proc/\$PPID/status" "$WORK/hook-status"
	cp /proc/self/status "$WORK/program-status"
	exec "$UBLK_QCOW2" "\$@"
END
chmod a+x "$WORK/spy"
export UBLK_QCOW2=$WORK/spy

case_of "the hook"
web=$(image web)
chown 1000:1000 "$web"
chmod 600 "$web"
one web1 "$UUID1" /dev/ublk-qcow2/web "$web"
accepted web1 prepare
limited "the hook" "$WORK/hook-status"
children_limited "its program" "$WORK/program-status"
[[ $(has "$WORK/program-status" CapEff) == $((ALL & ~GONE)) ]] ||
	wrong "its program has too few: $(grep Cap "$WORK/program-status")"
accepted web1 release

case_of "the agent"
"$AGENT" --connect test:///default >"$WORK/said" 2>&1 &
agent=$!
echo "$agent" >"$FAKE/idle"
for ((i = 0; i < 100; i++)); do
	cp "/proc/$agent/status" "$WORK/agent-status" 2>/dev/null || break
	[[ $(has "$WORK/agent-status" CapEff) == "$ALL" ]] || break
	sleep 0.1
done
limited "the agent" "$WORK/agent-status"
kill "$agent" 2>/dev/null || wrong "the agent: $(cat "$WORK/said")"
wait "$agent" 2>/dev/null || true

done_testing
