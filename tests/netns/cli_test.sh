#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The scaffold command against daemons that run: each subcommand as a table and as JSON, its status, what it says when
# something is not there. Usage: cli_test.sh SCAFFOLD-BINARY
#
#      h1 asks            ctl asks         h3 "web", "denied"
#        \                 |              /
#         [r1] -------- [ sr ] -------- [r2] -- h4 "web", run on a wildcard
#        /  \___________________________/  \
#      h2                                  h5
. "$(dirname "$0")/lib.sh"
need curl setpriv
lab_up fig6
WEB=$(address web)
sf() { local node=$1; shift; on "$node" "$SF" "$@"; }
# json TEXT NODE FILTER COMMAND...: the command's --json output is valid, and the filter makes it true; status 0
json() {
	local what=$1 node=$2 filter=$3 status
	shift 3
	sf "$node" --json "$@" >"$TMP/json" 2>"$TMP/said"
	status=$?
	[ $status = 0 ] && [ "$(jq -s "if length == 1 then .[0] else . end | $filter" "$TMP/json" 2>&1)" = true ] && ok "$what" || { bad "$what (status $status): $filter of: scaffold --json $*"; said; head -c 600 "$TMP/json" | sed 's/^/    | /'; }
}
# status TEXT EXPECTED COMMAND...
status() { local what=$1 expected=$2; shift 2; "$@" >"$TMP/said" 2>&1; local got=$?; if [ $got = "$expected" ]; then ok "$what"; else bad "$what: status $got, expected $expected: $*"; said; fi; }

serve h3 "$WEB" 80 web --name h3
"$SF" lab --name "$LAB" exec h4 -- "$SF" run --service web -- python3 "$HERE/peer.py" serve :: 80 web --name h4 2>/dev/null & run=$!
pids+=($run)
serve h3 "$(address datagrams)" 53 echo --udp
registered web 2 80 && ok "run: what a program opens on a wildcard serves"
registered datagrams 1 53 udp
peer h1 loop "$WEB" 80 --n 20 >/dev/null || bad "connects"
peer h1 keep "$WEB" 80 --served --until "$TMP/stop" --every 0.1 >"$TMP/keep" 2>&1 & pids+=($!)
wait_for "a flow" grep -q up "$TMP/keep"

# ---- status, hosts
says "status of a host" "joined as" sf h1 status
says "status of a router" "roles access" sf r1 status
says "status of the controller" "3 of 3 routers connected, 5 hosts" sf ctl status
json "status: JSON of a host" h1 '.daemons[0].daemon == "agent" and .daemons[0].status.joined' status
json "status: JSON of a router" sr '.daemons[0].status.roles == ["service"] and .daemons[0].status.controller.synced' status
json "status: JSON of the controller" ctl '.daemons[0].status.hosts == 5' status
equal "hosts: a line each, and a head" 6 "$(sf ctl hosts | wc -l)"
json "hosts: the controller's" ctl 'map(.host) | sort == ["h1", "h2", "h3", "h4", "h5"]' hosts
json "hosts: a router's own" r2 'map(.host) | sort == ["h3", "h4", "h5"]' hosts
json "hosts: oneself, and its router by name" h1 'length == 1 and .[0].host == "h1" and .[0].router == "r1" and .[0].state == "present"' hosts
json "hosts: present, with their identities" ctl 'all(.state == "present" and .last_seen == null and (.id | startswith("80000000:")))' hosts
json "routers" ctl 'map(.router) == ["r1", "r2", "sr"] and all(.state == "connected")' routers
agent_pid() { cat "$DIR/h5/scaffoldd.pid"; }
shows() { [ "$(sf "$1" --json hosts | jq -r '.[] | select(.host == "h5") | .state')" = "$2" ]; }
kill -STOP "$(agent_pid)"
wait_for "a host whose agent hangs, at its router" shows r2 silent && wait_for "and at the controller" shows ctl silent && ok "hosts: a silent one"
json "hosts: last seen before now" ctl '.[] | select(.host == "h5") | .last_seen != null and .last_seen >= .since' hosts
kill -CONT "$(agent_pid)"
wait_for "it speaks again" shows ctl present && ok "hosts: and present again"

# ---- services, id
equal "services: a table" 'SERVICE PROTO PORT HOST WEIGHT SHARE STATE' "$(sf ctl services | head -n 1 | awk '{ print $1, $2, $3, $4, $5, $6, $7 }')"
json "services: instances, as the controller knows them" ctl "[.[] | select(.sid == \"$(sid web)\") | .host] | sort == [\"h3\", \"h4\"]" services
json "services: by name" ctl 'length == 2 and all(.state == "live" and .port == 80 and .proto == "tcp" and .weight == 100)' services web
json "services: as the service router has them" sr "any(.sid == \"$(sid datagrams)\" and .proto == \"udp\" and .port == 53)" services
json "services: of a host" h3 'length == 2 and all(.host == "h3")' services
json "services --all: hosts' identities, too" ctl '[.[] | select(.port == 0)] | length == 5' services --all
says "services: a host without any is told where to look" "no services on this host; the network's are shown on a router or the controller" sf h2 services
status "services: one that there is not" 1 sf ctl services nobody
says "and it says so" "nobody" sf ctl services nobody
equal "id: an address" "$WEB" "$(sf h1 id --address web)"
json "id" h1 ".address == \"$WEB\" and .sid == \"$(sid web)\"" id web
json "id: of an address" h1 ".sid == \"$(sid web)\"" id "$WEB"
status "id: a name that is none" 1 sf h1 id 'two words'
says "it says what a name is" "letters, digits, hyphens" sf h1 id 'two words'

# ---- names: said once, on any host, and shown where the service is known
"$SF" lab --name "$LAB" exec h4 -- "$SF" run --service named.by-run -- python3 "$HERE/peer.py" serve :: 8100 web --name h4 2>/dev/null & named=$!
pids+=($named)
shown() { [ "$(sf "$1" --json services | jq "any(.service == \"$2\")")" = true ]; }
for node in ctl sr r2 h4; do wait_for "the name of a run at $node" shown $node named.by-run && ok "names: what run was given, at $node"; done
registered_event() { sf ctl events | grep registered | grep -q 'named.by-run tcp/8100'; }
check "names: in the event of the registration itself" registered_event
serve h5 "$("$SF" --run "$TMP/none" id --address plain)" 8101 web --name h5
wait_for "a registration without a name" sh -c "'$SF' --run '$DIR/ctl' --json services | jq -e 'any(.port == 8101 and .service == null)'"
ok "names: a plain listen() has none"
sf h1 id plain >/dev/null
for node in ctl sr h1; do wait_for "a name that was used on h1, at $node" sh -c "'$SF' --run '$DIR/$node' --json id $(sid plain) | jq -e '.name == \"plain\"'" && ok "names: used on another host, known at $node"; done
at_client() { [ "$(sf h2 --json flows | jq "any(.peer_name == \"unsaid\")")" = true ]; }
serve h5 "$("$SF" --run "$TMP/none" id --address unsaid)" 8102 web --name h5
registered unsaid 1 8102
peer h2 keep "$("$SF" --run "$TMP/none" id --address unsaid)" 8102 --until "$TMP/stop" --every 0.1 >/dev/null 2>&1 & pids+=($!)
sf h4 id unsaid >/dev/null
wait_for "a name that was never used on h2, in its flows" at_client && ok "names: flows on a host where it was never used"
json "names: a plain listen()'s own host asks, too" h5 'any(.service == "plain" and .port == 8101)' services
check "names: in the metrics" sh -c "curl -s --unix-socket '$DIR/ctl/controller.sock' http://x/metrics | grep -q 'name=\"plain\"'"
end $named

# ---- flows
json "flows" h1 'any(.state == "bound" and .proto == "tcp" and .peer_port == 80 and .direction == "out" and .tx_bytes > 0)' flows
json "flows: of a service" h1 "length >= 1 and all(.peer == \"$WEB\")" flows web
json "flows --state" h1 'length == 1 and .[0].state == "bound"' flows --state bound
json "flows --limit" h1 'length == 1' flows --limit 1
status "flows --limit 0" 2 sf h1 flows --limit 0
json "flows --proto" h1 'length == 0' flows --proto udp
json "flows: a server's" h3 '. + [{"direction": "in", "local": "'"$WEB"'"}] | all(.direction == "in" and .local == "'"$WEB"'")' flows web
servers() { sf h3 flows web "$@"; sf h4 flows web "$@"; }
says "flows: clients by name, which servers had to ask for" "h1:" servers
equal "flows --ids: no names" 0 "$(servers --ids 2>/dev/null | grep -c 'h1:')"
equal "flows: no socketID is shown whole" 0 "$(sf h1 --json flows | grep -cE 'fd5c:[0-9a-f:]*:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}"')"
status "flows where no agent is" 1 sf ctl flows
says "it says where it looked" "$DIR/ctl" sf ctl flows

# ---- ping and trace
says "ping" "2 of 2 answered" sf h1 ping -c 2 -i 0.1 web/tcp/80
sf h1 --json ping -c 30 -i 0.01 web/tcp/80 >"$TMP/json" 2>&1
[ "$(jq -s 'length == 30 and all(.ok and .rtt_ms > 0 and .error == null) and ([.[].host] | unique | length) == 2' "$TMP/json")" = true ] && cp "$TMP/json" "$TMP/pings" && ok "ping: JSON, a line each; both instances answer" || { bad "ping --json"; head -n 3 "$TMP/json"; }
equal "ping: hosts by name, and by identity" "h3 h4 $(sf ctl --json hosts | jq -r '[.[] | select(.host == "h3" or .host == "h4") | .id] | sort | join(" ")')" "$(jq -rs '[([.[].host] | unique), ([.[].host_id] | unique)] | flatten | join(" ")' "$TMP/pings")"
says "ping: a table by name" ": h3 at fd5c" sf h1 ping -c 20 -i 0.01 web/tcp/80
says "ping --ids" ": 80000000:" sf h1 ping -c 1 --ids web/tcp/80
says "ping of datagrams" "1 of 1 answered" sf h1 ping -c 1 datagrams/udp/53
says "ping: a service registered once needs no port" "1 of 1 answered" sf h1 ping -c 1 web
says "nor one of datagrams" "1 of 1 answered" sf h2 ping -c 1 datagrams
serve h5 "$(address twice)" 8081 web --name h5
serve h4 "$(address twice)" 8080 web --name h4
registered twice 1 8080; registered twice 1 8081
says "ping: of several ports the first" "1 of 1 answered" sf h1 ping -c 1 twice
says "says which, and which others there are" "this is tcp/8080; also twice/tcp/8081" sf h1 ping -c 1 twice
json "trace: needs no port either" h1 '.[-1].answer' trace web
check "what it asked for is named from then on" sh -c "'$SF' --run '$DIR/h2' --json id $(sid datagrams) | jq -e '.name == \"datagrams\"'"
status "ping: a service that nobody has" 1 sf h1 ping -c 1 -W 2 nobody
says "says why, and who says so" "no-such-service" sf h1 ping -c 1 -W 2 nobody
status "ping: a port that nobody has" 1 sf h1 ping -c 1 -W 2 web/tcp/81
says "says what there is instead" "web is registered for tcp/80, not for tcp/81" sf h1 ping -c 1 -W 2 web/tcp/81
says "trace, too" "web is registered for tcp/80, not for tcp/81" sf h1 trace web/tcp/81
equal "ping: JSON, what is not known is null" "[false,null]" "$(sf h1 --json ping -c 1 -W 2 nobody 2>/dev/null | jq -c '[.ok, .host]')"
check "round trips have six digits at most" sh -c "! grep -oE '\"rtt_ms\":[0-9.]+' '$TMP/pings' | tr -d '.' | grep -qE '[1-9][0-9]{6}'"
json "trace: r1, sr, r2, the instance" h1 'length == 4 and .[1].resolved_to != null and .[3].answer and .[3].host != null and .[0].host == null and .[0].stopped == null and .[0].resolved_to == null' trace web/tcp/80
says "trace: a table" "resolved to" sf h1 trace web/tcp/80
says "trace: the host by name" "instance, host h" sf h1 trace web/tcp/80
status "trace: a service that nobody has" 1 sf h1 trace nobody
says "stops at the service router, which says why" "$(lab address sr)" sf h1 trace nobody
equal "and no further" 2 "$(sf h1 trace nobody | wc -l)"
kill -STOP $(on h4 ss -Hltnp "sport = :80" | grep -o 'pid=[0-9]*' | cut -d= -f2)
says "ping asks the datapath: a program that hangs is still registered" "2 of 2 answered" sf h1 ping -c 2 -i 0.1 web/tcp/80
kill -CONT $(on h4 ss -Hltnp "sport = :80" | grep -o 'pid=[0-9]*' | cut -d= -f2)

# ---- weight, drain
json "weight" ctl '[.[] | select(.host == "h4") | .weight] == [300]' weight web h4 300
json "weight: the share that comes of it" ctl 'all(.share > 0) and ([.[].share] | add > 0.999) and ([.[] | select(.host == "h4") | .share][0] > 0.7)' services web
sf ctl weight web h4 1000 >/dev/null
says "weight: one that a table cannot keep is told of" "h3 gets 0.47 % of new flows where its weight asks for 0.1 %" sf ctl weight web h3 1
share() { sf $1 --json services web | jq '[.[].share] | min * 10000 | floor'; }
shares_alike() { [ "$(share ctl)" = 47 ] && [ "$(share sr)" = 47 ]; }
wait_for "the share in the service router's table" shares_alike && ok "weight: the share is the one of the router's table"
sf ctl weight web h3 100 >/dev/null 2>&1; sf ctl weight web h4 300 >/dev/null
status "weight: too large" 2 sf ctl weight web h4 5000
status "weight: no number" 2 sf ctl weight web h4 much
for typo in "drain web --host h9" "drain nosuch" "undrain web --host h9" "undrain nosuch" "weight wbe h4 300" "weight web h9 300"; do
	status "$typo: a slip of the pen" 1 sf ctl $typo
done
says "says which word it is" "host 'h9'" sf ctl drain web --host h9
says "or the service" "service 'wbe'" sf ctl weight wbe h4 300
equal "and nothing was changed" "" "$(sf ctl --json services | jq -r '.[] | select(.state != "live" and .state != "denied") | .host')"
status "weight --ahead: for what is to come" 0 sf ctl weight tocome 80000000:0123456789abcdef 7 --ahead
status "drain --ahead" 0 sf ctl drain web --host 80000000:0123456789abcdef --ahead
status "undrain: whom the policy has need not be there" 0 sf ctl undrain web --host 80000000:0123456789abcdef
status "--ahead: no name, which could be anybody's" 1 sf ctl drain web --host h9 --ahead
json "policy: the list" ctl 'any(.service == "web" and .policy.enabled)' policy
says "policy show: h4's weight" "h4    300     no" sf ctl policy show web
json "policy delete --host" ctl '.deleted' policy delete web --host h4
json "policy delete --host: as before the weight" ctl '[.[] | select(.host == "h4") | .weight] == [100]' services web
status "policy delete --host: once" 1 sf ctl policy delete web --host h4
sf ctl weight web h4 300 >/dev/null
says "an option that there is not: by the command's name" "scaffold services: unrecognized option" sf ctl services --sideways
json "drain of one instance" ctl '.draining and .host == "h3"' drain web --host h3
wait_for "one instance left" has_instances sr web 1 80
json "services: a drained instance is told of" ctl '[.[] | select(.host == "h3") | .state] == ["draining"]' services web
json "services: and keeps its weight, which has no share" ctl '[.[] | select(.host == "h3") | (.weight, .share)] == [100, 0]' services web
json "drain of a service" ctl '.draining and .instances == 2' drain web
wait_for "none left" has_instances sr web 0 80
status "ping of a drained service" 1 sf h1 ping -c 1 -W 2 web/tcp/80
status "trace of a drained service" 1 sf h1 trace web/tcp/80
says "says where it ends" "$(lab address sr)" sf h1 trace web/tcp/80
says "and why" "nobody takes new flows for it: not registered, drained, disabled or weight 0" sf h1 ping -c 1 -W 2 web/tcp/80
json "undrain" ctl '.draining == false' undrain web
registered web 2 80
status "drain: where no controller is" 1 sf h1 drain web
json "--controller: the same from elsewhere" h1 'length == 2' --controller "unix:$DIR/ctl/controller.sock" services web
status "--controller: nobody there" 1 sf h1 --controller "unix:$DIR/none.sock" services web

# ---- register, unregister, run
json "register: waits for a listener" h5 '.state == "waiting" and .origin == "manual"' register byhand tcp 8080
serve h5 :: 8080 web --name byhand
registered byhand 1 8080 && ok "a listener on the wildcard serves it"
check "and it is reached" peer h1 loop "$(address byhand)" 8080 --n 3 --timeout 5
status "register: again" 0 sf h5 register byhand tcp 8080
status "unregister" 0 sf h5 unregister byhand tcp 8080
registered byhand 0 8080 && ok "and it is gone"
status "unregister: what is not there" 1 sf h5 unregister byhand tcp 8080
status "register: a protocol that there is not" 2 sf h5 register byhand icmp 1
status "register: a port that there is not" 2 sf h5 register byhand tcp 70000
status "run: the program's own status" 7 sf h5 run --service x -- sh -c 'exit 7'
status "run: no such program" 127 sf h5 run --service x -- no-such-program
end $run
registered web 1 80 && ok "run: its end unregisters"

# ---- events
says "events: a registration" "registered" sf ctl events
"$SF" lab --name "$LAB" exec h5 -- setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/python3 -c "
import socket, time
s = socket.socket(socket.AF_INET6); s.bind(('$(address denied)', 8081)); s.listen(); time.sleep(600)" 2>"$TMP/said" & pids+=($!)
told() { [ "$(sf h5 --json events | jq 'any(.kind == "denied" and .reason == "denied-uid" and .port == 8081)')" = true ]; }
wait_for "a denial in the log" told && ok "events: a denial, with its reason"
says "as a line, with the words" "this user may not register services" sf h5 events
json "services: the denial, too" h5 'any(.state == "denied" and .reason == "denied-uid")' services
json "events: kinds, times, ids that rise" ctl 'length > 10 and all(.kind != null and .time != null) and ([.[].id] == ([.[].id] | sort))' events
json "events --limit" ctl 'length == 2' events --limit 2
last=$(sf ctl --json events | jq '.[-1].id')
json "events --since" ctl "all(.id > $((last - 3)))" events --since $((last - 3))
"$SF" lab --name "$LAB" exec ctl -- "$SF" events --follow >"$TMP/follow" 2>&1 & follow=$!
pids+=($follow)
wait_for "the log so far" grep -q registered "$TMP/follow"
sf ctl weight web h3 77 >/dev/null
wait_for "events --follow" grep -q '"weight":77' "$TMP/follow" && ok "events --follow: what happens, as it happens"
end $follow

# ---- nothing there, wrong words, no rights
says "hosts: an empty table says so" "no hosts are known to the router" sf sr hosts
says "flows: so does one that a filter empties" "no such flows are known to the agent" sf h1 flows --proto udp
equal "with --json it is an empty list, and no more" "[]" "$(sf h1 --json flows --proto udp 2>&1)"
says "flows: on a router, where to ask" "ask on a host" sf sr flows
status "flows: a protocol that there is not" 2 sf h1 flows --proto icmp
status "ping: a count that is none" 2 sf h1 ping -c many web
says "says what was expected" "expected a number from 1" sf h1 ping -c many web
status "ping: half a port" 2 sf h1 ping web/tcp
says "unregister: what is not there, by name" "byhand tcp/9 is not registered on this host" sf h5 unregister byhand tcp 9
nobody() { "$SF" lab --name "$LAB" exec "$1" -- setpriv --reuid 65534 --regid 65534 --clear-groups "$SF" "${@:2}"; }
chmod 755 "$TMP"
says "who may not ask is told who may" "root may, and members of its socket_group" nobody ctl services
says "who may not register, likewise" "root or a member of group" nobody h1 register web tcp 80
says "who may not probe" "CAP_NET_RAW" nobody h1 ping -c 1 web

# ---- the command itself
status "help" 0 "$SF" help
says "help COMMAND" "usage: scaffold weight SERVICE HOST WEIGHT [--ahead]" "$SF" help weight
says "COMMAND -h" "usage: scaffold weight SERVICE HOST WEIGHT [--ahead]" "$SF" weight -h
status "help of a command that there is not" 2 "$SF" help frobnicate
for command in status hosts services flows events register unregister weight drain undrain id run ping trace lab; do
	status "$command --help" 0 "$SF" $command --help
	status "$command: an unknown option" 2 "$SF" $command --sideways
done
status "--help" 0 "$SF" --help
status "--version" 0 "$SF" --version
status "no command" 2 "$SF"
status "an unknown command" 2 "$SF" frobnicate
says "a slip of the pen" "did you mean 'status'" "$SF" statsu
status "nobody there" 1 "$SF" --run "$TMP/none" services
says "and it says where it looked" "$TMP/none" "$SF" --run "$TMP/none" services
touch "$TMP/stop"
finish
