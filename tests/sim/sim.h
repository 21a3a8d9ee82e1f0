// SPDX-License-Identifier: Apache-2.0
/*
 * sim.h - a world of hosts, routers and flows, in virtual time, out of one seed.
 *
 * Theory of operation
 *
 * The code under test is the core's own: core/renegotiate.c judges messages, core/flow.h says what
 * the datapath takes, core/wire.c makes the bytes. What is modelled is what lies around: agents
 * that store, apply and send (and are killed between), hosts that move, are copied, hand flows over
 * and die, routers that resolve, refuse and redirect, and a network that loses, repeats, delays,
 * parts and corrupts, with somebody in it who sends again what he saw, also from false sources.
 *
 *   main.c     options, workers, totals             script.c   what befalls the hosts
 *   world.c    a seed's world, its clock            network.c  wires, routers, the attacker
 *   ends.c     agent and datapath of one end        check.c    what must hold, after each step
 *   breaks.c   faults put in on purpose             trace.c    how a run is told to people
 *
 * Nothing is allocated while a world runs. Fields named ghost are known to the checks alone: no end
 * acts upon them.
 *
 * A *view* here is one name of one end (core/renegotiate.h). Views form a tree: each has the one
 * before it as its parent, and copies of an end make branches. The checks speak of that tree: which
 * view may be taken after which.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdint.h>

#include "core/renegotiate.h"
#include "core/sal.h"
#include "tests/sim/random.h"

#define SIM_MS	    1000000ull
#define SIM_S	    1000000000ull
#define SIM_NONE    0xffffu
#define SIM_SLOTS   3	/* uplinks of a host */
#define SIM_HOSTS   24	/* copies included */
#define SIM_PLACES  128 /* hostAddrs that were ever given */
#define SIM_FLOWS   16
#define SIM_ENDS    128 /* copies and those handed over included */
#define SIM_VIEWS   8192
#define SIM_PACKETS 1024 /* in flight; what is more is lost */
#define SIM_TAPE    48	 /* packets that the attacker has seen and may send again */
#define SIM_EVENTS  4096

/* What a scenario lets happen. */
#define SIM_LOSS     0x00001
#define SIM_REPEAT   0x00002 /* duplication */
#define SIM_REORDER  0x00004
#define SIM_PART     0x00008 /* partitions */
#define SIM_CORRUPT  0x00010
#define SIM_REPLAY   0x00020
#define SIM_SPOOF    0x00040 /* replays from false sources */
#define SIM_BOTH     0x00080 /* both ends move, else one side only */
#define SIM_KILL     0x00100 /* agents */
#define SIM_COPY     0x00200
#define SIM_HANDOVER 0x00400
#define SIM_TWICE    0x00800 /* handed over to two hosts */
#define SIM_DEATH    0x01000
#define SIM_CLOSE    0x02000
#define SIM_REDIRECT 0x04000
#define SIM_LONG     0x08000 /* outages beyond every timer */
#define SIM_REUSE    0x10000 /* a hostAddr is given to another host later */
#define SIM_MANY     0x20000 /* more than two hosts and one flow */
#define SIM_BOTHCOPY 0x40000 /* both sides of a flow may be copied */
#define SIM_EVERY    0x7ffff

enum sim_packet_kind { SIM_MOVE, SIM_DATA, SIM_FAIL, SIM_REDIR };

/**
 * struct sim_packet - a packet on its way.
 * @len: bytes on the wire
 * @place: REDIRECT: the suggestion
 * @host: FAIL: whose
 * @quoted_src, @quoted_dst: FAIL: of data
 * @bytes: the message, or what is quoted of one
 * @flow, @side, @end, @view, @seq: ghosts, of who sent it first
 */
struct sim_packet {
	uint8_t kind;
	uint8_t reason;
	bool of_data;
	bool corrupt;
	uint16_t len;
	struct sf_addr src, dst;
	struct sf_addr place;
	struct sf_sid host;
	struct sf_addr quoted_src, quoted_dst;
	uint8_t bytes[SF_MOVE_LEN];
	uint16_t flow, side, end, view;
	uint32_t seq;
};

/** struct sim_place - a hostAddr of an access router. @host: who has it, or had it last. */
struct sim_place {
	uint16_t host;
	uint16_t router;
	bool up;
	bool reused;
	uint64_t left;
};

/**
 * struct sim_host - a host, or a copy of one.
 * @identity: its serviceID's number; copies have one
 * @slot: the place of each uplink, or SIM_NONE
 * @primary: place that flows are to be at, or SIM_NONE
 * @ahead: how much its clock is ahead of the world's
 */
struct sim_host {
	bool alive;
	bool agent;
	uint16_t identity;
	uint16_t slot[SIM_SLOTS];
	uint16_t primary;
	uint64_t ahead;
	struct sf_hashkey key;
};

enum sim_fate { SIM_LIVES, SIM_CLOSED, SIM_SUPERSEDED, SIM_REFUSED, SIM_EXPORTED, SIM_DIED };

/**
 * struct sim_end - one end of a flow at one host; copies are ends of their own.
 * @f: the datapath's entry, which outlives the agent
 * @m: as the agent keeps it; only if @has_move
 * @heir: the end that it was handed over to, for REDIRECT
 * @armed: when its timer is queued
 * @view, @taken: ghosts: its own view, the peer's as last taken
 * @settled, @applied: ghosts: the peer's as of when it was settled last, and its entry knew of it
 * @tx, @rx, @proven: ghosts, by place: bytes sent and come, whether validated once
 */
struct sim_end {
	uint16_t flow, side, host;
	uint16_t heir;
	uint8_t fate;
	bool has_move;
	struct sf_flow f;
	struct sf_move m;
	uint64_t armed;
	uint32_t seq;
	uint16_t view, taken, settled, applied;
	uint32_t tx[SIM_PLACES], rx[SIM_PLACES];
	bool proven[SIM_PLACES];
};

/**
 * struct sim_flow - ghost of a flow.
 * @was_at: by side and place: whether an end was there
 * @branches: by side: how many ends it has had at once beyond the first
 * @ended: it may end: closed, or a host died
 * @messages: since the network became calm, until it resumed
 */
struct sim_flow {
	bool was_at[2][SIM_PLACES];
	uint16_t branches[2];
	bool ended;
	bool resumed;
	uint32_t messages;
	uint64_t resumed_at;
};

struct sim_view {
	uint64_t name;
	uint16_t parent;
	uint16_t depth;
	uint16_t end;
};

enum sim_event_kind {
	SIM_EV_PACKET,
	SIM_EV_TIMER,
	SIM_EV_DATA,
	SIM_EV_ACTION,
	SIM_EV_REGISTER,
	SIM_EV_AGENT,
	SIM_EV_JOIN,
	SIM_EV_IMPORT,
	SIM_EV_HEAL,
	SIM_EV_CALM,
};

struct sim_event {
	uint64_t at;
	uint32_t order;
	uint16_t kind;
	uint16_t arg;
};

/** struct sim_totals - of all runs of a worker. */
#define SIM_BUCKETS 12
struct sim_totals {
	uint64_t runs, steps, flows, moves, messages, data, delivered, fails, redirects, kills;
	uint64_t copies, handovers, superseded, replays, virtual_ns;
	uint64_t messages_max, messages_max_seed, time_max, time_max_seed;
	uint64_t rate_max, rate_max_seed;
	uint64_t by_time[SIM_BUCKETS], by_messages[SIM_BUCKETS];
};

/** struct sim - the world. */
struct sim {
	uint64_t seed;
	uint32_t features;
	uint32_t broken; /* SIM_BREAK_* */
	bool trace;
	struct sim_random rnd;
	struct sf_net net;
	uint64_t now, calm_at, end_at, data_gap, action_gap;
	uint32_t step, order;
	bool calm;
	bool failed;
	char why[256];

	uint32_t loss, repeat, reorder, corrupt, kill; /* permille */
	uint64_t delay, jitter;
	uint32_t parted; /* routers that are cut off from the others */

	uint32_t n_hosts, n_places, n_flows, n_ends, n_views, n_identities, n_tape, n_events,
		n_free;
	struct sim_host hosts[SIM_HOSTS];
	struct sim_place places[SIM_PLACES];
	uint16_t registered[SIM_HOSTS]; /* by identity: its place, as service routers know it */
	struct sim_flow flows[SIM_FLOWS];
	struct sim_end ends[SIM_ENDS];
	struct sim_view views[SIM_VIEWS];
	struct sim_packet packets[SIM_PACKETS];
	uint16_t free[SIM_PACKETS];
	struct sim_packet tape[SIM_TAPE];
	struct sim_event events[SIM_EVENTS];
	struct sim_totals *totals;
};

/* world.c */
/** sim_run() - a seed from its beginning to its end. Return: 0, or -1 with @s->why. */
int sim_run(struct sim *s, uint64_t seed, uint32_t features);
void sim_at(struct sim *s, uint64_t at, uint16_t kind, uint16_t arg);
struct sf_sid sim_sid(uint16_t identity);
struct sf_addr sim_locator(const struct sim *s, uint16_t place);
/** sim_socket_of() - the socketID of a new flow at its host. @peer: of who opens it; NULL: we do */
uint64_t sim_socket_of(struct sim *s, const struct sim_end *e, const struct sf_tuple *t,
		       const struct sf_addr *peer);
/** sim_place_of() - the number of the place of @a, SIM_NONE for what is no host's. */
uint16_t sim_place_of(const struct sim *s, const struct sf_addr *a);
bool sim_is_at(const struct sim *s, uint16_t host, uint16_t place);
uint16_t sim_view_new(struct sim *s, uint16_t end, uint64_t name, uint16_t parent);

/* network.c */
/** sim_send() - a copy of @p goes on its way, from a host that is at its source. */
void sim_send(struct sim *s, const struct sim_packet *p);
void sim_arrive(struct sim *s, uint16_t number);
/** sim_refuse() - FAIL from @src, the host of @identity or (SIM_NONE) a router. */
void sim_refuse(struct sim *s, const struct sim_packet *p, uint8_t reason,
		const struct sf_addr *src, uint16_t identity);
void sim_redirect(struct sim *s, const struct sim_packet *p, const struct sf_addr *src,
		  const struct sf_addr *place);
/** sim_replay() - the attacker sends again what he saw. */
void sim_replay(struct sim *s);

/* ends.c */
/** sim_time() - nanoseconds by the clock of the host of @e. */
uint64_t sim_time(const struct sim *s, const struct sim_end *e);
void sim_end_receive(struct sim *s, uint16_t host, struct sim_packet *p);
void sim_end_move(struct sim *s, struct sim_end *e, uint16_t place);
void sim_end_timer(struct sim *s, struct sim_end *e);
void sim_end_data(struct sim *s, struct sim_end *e);
void sim_end_arm(struct sim *s, struct sim_end *e);
void sim_end_again(struct sim *s, struct sim_end *e);
void sim_agent_kill(struct sim *s, uint16_t host);
void sim_agent_start(struct sim *s, uint16_t host);
/** sim_end_takes() - whether the datapath of @e takes what @src sends to @dst. */
bool sim_end_takes(const struct sim *s, const struct sim_end *e, const struct sf_addr *src,
		   const struct sf_addr *dst);

/* script.c */
void sim_action(struct sim *s);
void sim_join(struct sim *s, uint16_t host);
void sim_primary(struct sim *s, uint16_t host, uint16_t place);
uint16_t sim_place_new(struct sim *s, uint16_t host);
void sim_import(struct sim *s, uint16_t end);
void sim_calm(struct sim *s);

/* check.c */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_check_views(struct sim *s, struct sim_end *e, const struct sf_move *was, uint16_t view);
void sim_check_sent(struct sim *s, struct sim_end *e, const struct sf_addr *to, uint32_t len);
void sim_check_data(struct sim *s, struct sim_end *e, const struct sim_packet *p);
void sim_check_twice(struct sim *s, const struct sim_end *e, const struct sf_move *m,
		     const struct sf_move_msg *in, const struct sf_move_env *env,
		     const struct sf_move_out *out);
void sim_check_over(struct sim *s, struct sim_end *e, uint8_t reason, const struct sf_addr *by);
void sim_check_resumed(struct sim *s, uint16_t flow);
void sim_check_end(struct sim *s);

/* breaks.c */
#define SIM_BREAKS(X)                                                                          \
	X(REPEATS, "repeats-ignored", "what repeats a message is not answered")                \
	X(CHALLENGE, "no-challenge", "a place is validated by whatever comes from it")         \
	X(EPOCH, "no-epoch", "an older epoch is as good as a newer one")                       \
	X(CLAIM, "no-claim", "a series has no claim")                                          \
	X(STATIONARY, "stationary-same", "the end that stays keeps its name")                  \
	X(STORE, "send-before-store", "the agent sends first, and is killed before it stores") \
	X(FORGET, "forget", "an agent that starts anew begins with the flow's entry alone")    \
	X(SOFT, "soft-is-hard", "host-unreachable ends the flow")                              \
	X(BUDGET, "no-budget", "data to a place that is not validated costs nothing")          \
	X(RENDEZVOUS, "no-rendezvous", "no RSYN goes to the peer's host service address")      \
	X(RACK, "no-rack", "who is answered does not repeat what it says")                     \
	X(APPLY, "no-apply", "what was agreed does not reach the flow's entry")                \
	X(PEER, "any-peer", "data is taken from whatever place it comes")                      \
	X(NAMED, "any-key", "a message finds its flow by the low bits of its key alone")

enum sim_break_number {
#define X(sym, name, text) SIM_BREAK_NR_##sym,
	SIM_BREAKS(X)
#undef X
		SIM_BREAK_COUNT,
};
#define SIM_BREAK(s, sym) ((s)->broken & 1u << SIM_BREAK_NR_##sym)

/** sim_break_number() - of a fault's name. Return: its number, or -1. */
int sim_break_number(const char *name);
const char *sim_break_name(int number);
const char *sim_break_text(int number);
/** sim_break_in() - spoil what comes in, or what is known of the peer. Return: drop it. */
bool sim_break_in(struct sim *s, struct sim_end *e, struct sf_move *m, struct sf_move_msg *in,
		  const struct sf_move_env *env);
/** sim_break_out() - spoil what an event has brought about. @was: before it. */
void sim_break_out(struct sim *s, struct sf_move *m, const struct sf_move *was,
		   struct sf_move_out *out, bool in);

/* trace.c */
#define sim_trace(s, ...)                               \
	do {                                            \
		if (__builtin_expect((s)->trace, 0))    \
			sim_trace_line(s, __VA_ARGS__); \
	} while (0)
void sim_trace_line(const struct sim *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** sim_trace_keep() - keep the last lines instead of printing them; sim_trace_print() prints. */
void sim_trace_keep(void);
void sim_trace_print(void);
const char *sim_trace_place(const struct sim *s, const struct sf_addr *a);
const char *sim_trace_end(const struct sim *s, const struct sim_end *e);
void sim_trace_move(const struct sim *s, const struct sim_end *e, const char *what);
void sim_trace_packet(const struct sim *s, const char *what, const struct sim_packet *p);

#endif
