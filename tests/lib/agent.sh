# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The agent, for the tests with libvirt; sourced by libvirt.sh.

AGENT_PROGRAM=${UBLK_QCOW2%/*}/ublk-qcow2-agent
AGENT_LOG=$WORK/agent.log
AGENT_SAID=()			# lines that were not heard yet

# Starts the agent and waits until it has found libvirtd.
start_agent()
{
	"$AGENT_PROGRAM" 2>>"$AGENT_LOG" &
	AGENT=$!
	cleanup "kill -9 $AGENT 2>/dev/null"
	agent_says "agent: connected"
}

# agent_says PATTERN [SECONDS]: soon, or since its last line that was heard.
agent_says()
{
	local end=$((SECONDS + ${2:-120})) i

	for (( ; ; )); do
		read_news "$AGENT_LOG"
		AGENT_SAID+=("${NEWS[@]}")
		for i in "${!AGENT_SAID[@]}"; do
			[[ ${AGENT_SAID[i]} =~ $1 ]] && break 2
		done
		((SECONDS <= end)) || fail "the agent does not say '$1' but:" \
			"$(cat "$AGENT_LOG")"
		sleep 0.1
	done
	note "the agent says: ${AGENT_SAID[i]}"
	AGENT_SAID=("${AGENT_SAID[@]:i+1}")
}

# How often it has said that.
agent_said()
{
	grep -cE -- "$1" "$AGENT_LOG" || true
}

end_agent()
{
	local status=0

	kill "$AGENT"
	wait "$AGENT" || status=$?
	[[ $status == 0 ]] || fail "the agent ended with status $status"
	agent_says "agent: ends"
}
