# SPDX-License-Identifier: Apache-2.0
# bash completion for scaffold: asks the program itself, which has it from its table of commands.
_scaffold() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} i
	COMPREPLY=()
	# Behind "--" stands a command of its own, with its arguments.
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			COMPREPLY=($(compgen -A command -A file -- "$word"))
			return
		fi
	done
	if [[ $previous == --run ]]; then
		COMPREPLY=($(compgen -A directory -- "$word"))
		return
	fi
	COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$word"))
	[[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -A file -- "$word"))
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -F _scaffold scaffold
