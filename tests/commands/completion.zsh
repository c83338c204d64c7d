# SPDX-License-Identifier: GPL-2.0-or-later
#
# zsh -f completion.zsh FUNCTIONS LINE...
#
# Types each LINE and a tab into an interactive zsh that has the completion
# functions of that directory, and prints the line with all that is offered at
# its end.
zmodload zsh/zpty || exit 77

work=$(mktemp -d)
trap 'rm -rf $work' EXIT
{
	print -r -- "fpath=(${(q)1} \$fpath) WORK=$work"
	cat <<-'END_OF_SETUP'
	PS1= PS2=
	autoload -U compinit
	compinit -u -D
	# A tab inserts all that is offered; ^G prints the line then.
	zle -C every complete-word _generic
	zstyle ':completion:every::::' completer _all_matches _complete
	zstyle ':completion:*' insert true
	bindkey '^I' every
	report() { print -r -- "$BUFFER" >>$WORK/lines; BUFFER=; }
	zle -N report
	bindkey '^G' report
	END_OF_SETUP
} >$work/setup
: >$work/lines
shift

zpty shell 'zsh -f -i'
zpty -w shell ". $work/setup"
for line; do
	zpty -n -w shell "$line"$'\t\a'
done
# The shell waits when its echo is not read.
for ((i = 0; i < 600 && $(wc -l <$work/lines) < $#; i++)); do
	while zpty -r -t shell ignored; do :; done
	sleep 0.1
done
cat $work/lines
zpty -d shell
