# SPDX-License-Identifier: Apache-2.0
# Shared by bench/run and its parts: alternated measurement against a baseline, one JSON object a line.
# shellcheck shell=bash

ROUNDS=${ROUNDS:-7}
OUT=${OUT:-build/bench.json}

# median, then (max - min) / median, of the numbers on standard input
summary() {
	sort -g | awk '{ v[NR] = $1 } END {
		if (!NR) exit 1
		m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		printf "%.6g %.4f\n", m, m ? (v[NR] - v[1]) / m : 0 }'
}

# report NAME VALUE UNIT BASELINE RATIO SPREAD TARGET: one line of JSON, one line for people.
# BASELINE and RATIO are null where there is none; TARGET is text such as ">= 0.97".
report() {
	printf '{"name":"%s","value":%s,"unit":"%s","baseline":%s,"ratio":%s,"spread":%s,"target":"%s"}\n' "$@" >>"$OUT"
	printf '%-22s %12s %-8s baseline %-12s ratio %-8s spread %-7s target %s\n' "$@"
}

# alternate NAME UNIT TARGET MEASURE_A MEASURE_B: A B A B ..., each prints one number. The ratio is the
# median of the ratios of neighbouring runs, so a machine that drifts does not show; the spread is theirs.
alternate() {
	local name=$1 unit=$2 target=$3 a=$4 b=$5 i x y
	local dir
	dir=$(mktemp -d)
	for ((i = 0; i < ROUNDS; i++)); do
		x=$($a) || { echo "bench: $name: '$a' failed" >&2; rm -r "$dir"; return 1; }
		y=$($b) || { echo "bench: $name: '$b' failed" >&2; rm -r "$dir"; return 1; }
		echo "$x" >>"$dir/a"
		echo "$y" >>"$dir/b"
		awk -v x="$x" -v y="$y" 'BEGIN { printf "%.6f\n", x / y }' >>"$dir/r"
	done
	local va vb r spread
	read -r va _ < <(summary <"$dir/a")
	read -r vb _ < <(summary <"$dir/b")
	read -r r spread < <(summary <"$dir/r")
	rm -r "$dir"
	report "$name" "$va" "$unit" "$vb" "$r" "$spread" "$target"
}
