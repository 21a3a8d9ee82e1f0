# SPDX-License-Identifier: Apache-2.0
# Shared by bench/run and its parts: alternated measurement against a baseline, one JSON object a line.
# shellcheck shell=bash

ROUNDS=${ROUNDS:-7}
OUT=${OUT:-build/bench.json}

# What runs now, for people who wait.
progress() { printf '\033[2m%s\033[0m\n' "$*" >&2; }

# median, then (max - min) / median, of the numbers on standard input
summary() {
	sort -g | awk '{ v[NR] = $1 } END {
		if (!NR) exit 1
		m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		printf "%.6g %.4f\n", m, m ? (v[NR] - v[1]) / m : 0 }'
}

# met TARGET NUMBER: "true", "false", or "null" where there is no target
met() {
	awk -v t="$1" -v x="$2" 'BEGIN {
		split(t, w, " ")
		if (w[1] == ">=") print (x >= w[2] ? "true" : "false")
		else if (w[1] == "<=") print (x <= w[2] ? "true" : "false")
		else print "null" }'
}

# report NAME VALUE UNIT BASELINE RATIO SPREAD TARGET: one line of JSON, one line for people.
# BASELINE and RATIO are null where there is none. TARGET is text such as ">= 0.97", for the ratio where there
# is one, else for the value; "" where nothing is asked.
report() {
	local ok target=null
	ok=$(met "$7" "$([ "$5" = null ] && echo "$2" || echo "$5")")
	[ -z "$7" ] || target="\"$7\""
	printf '{"name":"%s","value":%s,"unit":"%s","baseline":%s,"ratio":%s,"spread":%s,"target":%s,"met":%s}\n' \
		"${@:1:6}" "$target" "$ok" >>"$OUT"
	row "${@:1:7}" "$ok"
}

row() {
	local mark=''
	case $8 in true) mark='met' ;; false) mark='NOT MET' ;; esac
	printf '%-26s %12s %-9s %12s %8s %7s  %-9s %s\n' "$1" "$2" "$3" "${4/null/-}" "${5/null/-}" "$6" "$7" "$mark"
}

heading() { row figure value unit baseline ratio spread target ''; }

# values NAME UNIT TARGET: the numbers on standard input are the same measurement again and again.
values() {
	local value spread
	read -r value spread < <(summary)
	[ -n "$value" ] || { echo "bench: $1: no measurement" >&2; return 1; }
	report "$1" "$value" "$2" null null "$spread" "$3"
}

# pairs NAME UNIT TARGET: each line on standard input is a measurement and its baseline, taken one after the
# other. The ratio is the median of the lines' ratios, so a machine that drifts does not show; the spread is theirs.
pairs() {
	local dir va vb r spread
	dir=$(mktemp -d)
	cat >"$dir/pairs"
	read -r r spread < <(awk '{ printf "%.6f\n", $1 / $2 }' "$dir/pairs" | summary)
	read -r va _ < <(cut -d' ' -f1 "$dir/pairs" | summary)
	read -r vb _ < <(cut -d' ' -f2 "$dir/pairs" | summary)
	rm -r "$dir"
	[ -n "$r" ] && [ -n "$va" ] && [ -n "$vb" ] || { echo "bench: $1: no measurement" >&2; return 1; }
	report "$1" "$va" "$2" "$vb" "$r" "$spread" "$3"
}

# alternate NAME UNIT TARGET MEASURE_A MEASURE_B: A B B A A B ..., each prints one number; A / B.
alternate() {
	local name=$1 unit=$2 target=$3 a=$4 b=$5 i x y
	for ((i = 0; i < ROUNDS; i++)); do
		if ((i % 2)); then y=$($b) && x=$($a); else x=$($a) && y=$($b); fi ||
			{ echo "bench: $name: a measurement failed" >&2; return 1; }
		echo "$x $y"
	done | pairs "$name" "$unit" "$target"
}
