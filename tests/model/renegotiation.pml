// SPDX-License-Identifier: Apache-2.0
/*
 * renegotiation.pml - the renegotiation of docs/design/0004-renegotiation.md, for SPIN (paper section 4.2.2).
 *
 * Theory of operation
 *
 * One process makes one atomic step after another, each chosen freely: deliver a message (or a copy of it), lose one,
 * let a timer fire, move an end, copy an end (a VM snapshot that wakes up elsewhere), hand one over to another host, close
 * one, let the attacker act.
 * The network is a bag of at most NET messages: any may be next. Sending into a full bag is a loss.
 *
 * At some moment, freely chosen, it becomes calm: nobody moves any more and nothing is lost. Then timers fire when the bag is
 * empty, and what is in it is delivered in any order. Within ROUNDS firings the flow must have resumed
 * (assertion), or, with -DLIVENESS, at last (ltl resumes).
 *
 * Ends are 0 (A), 1 (B), and their copies 2, 3. Places 1..3 are A's side's, 4..6 B's, VICTIM is a bystander's.
 * A random number is the next of a counter of who draws it, with the copy's mark (gen): so it is never drawn twice.
 * Ghosts (gm, gen, won) are what only the observer knows; the protocol never reads them.
 *
 * Bounds by -D: MA, MB moves of either side; SNAPA, SNAPB copies; HAND: A is handed over; SPOOF acts of the attacker; CLOSE
 * closes; EXPIRE candidates that expire before it is calm; NET; ROUNDS; TALK: idle ends send data; NO_HOST: neither knows
 * the other's host, so nothing goes unresolved; TWICE: each message is taken twice and must have the effect of once.
 * Broken by -D: NO_EPOCH NO_CLAIM STATIONARY_SAME REPEAT_IGNORED NO_PATH SOFT_IS_HARD, and what the founding design lacked:
 * NO_CONFIRM STATIONARY_NO_CLAIM; and with who was handed over denied by its exporter: LEFT_REFUSES.
 */
#ifndef MA
#define MA 0
#endif
#ifndef MB
#define MB 0
#endif
#ifndef SNAPA
#define SNAPA 0
#endif
#ifndef SNAPB
#define SNAPB 0
#endif
#ifndef SPOOF
#define SPOOF 0
#endif
#ifndef HAND
#define HAND 0
#endif
#ifndef CLOSE
#define CLOSE 0
#endif
#ifndef TALK
#define TALK CLOSE /* data where nothing else is due */
#endif
#ifndef NET
#define NET 3
#endif
#ifndef ROUNDS
#define ROUNDS 9
#endif
#if SNAPA || SNAPB || HAND
#define ENDS 4
#else
#define ENDS 2
#endif

#define VICTIM	   7
#define UNRESOLVED 0 /* destination: whoever has the host's service address */

/* kinds */
#define NONE	 0
#define RSYN	 1
#define RSYN_ACK 2
#define RACK	 3
#define SOFT	 4 /* FAIL host-unreachable */
#define HARD	 5 /* FAIL no-such-socket */
#define SUPER	 6 /* FAIL superseded */
#define DATA	 7
#define REDIRECT 8 /* of who handed the flow over: to where it is */

/* states of an end */
#define ABSENT 0
#define LIVE   1
#define CLOSED 2 /* by its program */
#define ENDED  3 /* by a FAIL */
#define LEFT   4 /* the flow was handed over from here */

typedef View {
	byte epoch;
	byte claim;
	byte name;
	bit closed; /* the series: its claim is worth nothing any more */
	byte gm;
}

typedef End {
	byte st;
	byte place;
	byte epoch;
	byte claim;
	byte name;
	byte acked;
	byte former;
	bit confirmed;
	View peer;  /* who: settled when it is taken */
	byte valid; /* where: last validated */
	byte cand;  /* newest place, not validated; 0: there is none */
	byte allow;
	byte echo; /* the challenge that the peer sent to where this end is */
	bit expired;
	byte gen;
	byte gm;
	byte won;
}

typedef Msg {
	byte kind;
	byte src;
	byte dst;
	byte side; /* of the receiver */
	byte epoch;
	byte claim;
	byte was;
	byte name;
	byte you;
	byte yclaim;
	byte chal; /* the challenge is a function of the place and the name; here the place stands for it */
	byte echo;
	bit ask;
	bit valid;
	byte gm;
}

End end[ENDS];
chan net = [NET] of { byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, bit, bit, byte };
#ifndef EXPIRE
#define EXPIRE 1 /* candidates that expire before calm */
#endif
byte expiries = EXPIRE;
byte ma = MA, mb = MB, snapa = SNAPA, snapb = SNAPB, spoofs = SPOOF, closes = CLOSE;
#if HAND
bit hand = 1;
#endif
#ifdef TWICE
byte kept[11];
bit mute;
#endif
byte round;
bit calm;
bit resumed;

/* Work of one step; all zero between steps. */
Msg m, q;
byte e, i, j, x, n, newest;
bit knows, same, next, was_open, reply, keep;

#define E     end[e]
#define SIDE(a) ((a) & 1)
#define FIELDS(a) a.kind, a.src, a.dst, a.side, a.epoch, a.claim, a.was, a.name, a.you, a.yclaim, a.chal, a.echo, a.ask, a.valid, a.gm
#define MOVING (!E.confirmed && (OPEN(E) || E.cand)) /* owes RSYN */
/* Under its host's name, for a peer who may be anywhere. */
#ifdef NO_HOST
#define LOOKS(z) false
#else
#ifdef NO_CONFIRM
#define LOOKS(z) (MOVING || z.cand)
#else
#define LOOKS(z) (!z.confirmed || z.cand)
#endif
#endif
#define NEWEST(z) (z.cand -> z.cand : z.valid)
#define GEN(name) ((name) >> 5)
#define OPEN(z) (z.acked != z.name)
#if HAND
#define CHALLENGE(p) ((p) + 8 * (e > 1)) /* another host has another key */
#else
#define CHALLENGE(p) (p)
#endif

#define ROOM (len(net) < NET && !(net??[eval(q.kind), eval(q.src), eval(q.dst), eval(q.side), eval(q.epoch), eval(q.claim), \
	eval(q.was), eval(q.name), eval(q.you), eval(q.yclaim), eval(q.chal), eval(q.echo), eval(q.ask), eval(q.valid), eval(q.gm)]))

/* q goes out, unless the same is still on its way or there is no room. */
inline emit() {
	if
#ifdef TWICE
	:: mute
	:: !mute && ROOM ->
		net!!FIELDS(q)
#else
	:: ROOM ->
		net!!FIELDS(q)
#endif
	:: else
	fi
}

/* What e has to say: its whole view. */
inline say(k, to) {
	q.kind = k;
	q.src = E.place;
	q.dst = to;
	q.side = 1 - SIDE(e);
	q.epoch = E.epoch;
	q.claim = E.claim;
	q.was = E.acked;
	q.name = E.name;
	q.you = E.peer.name;
	q.yclaim = E.peer.claim;
	if
	:: k == RSYN_ACK -> q.chal = CHALLENGE(to)
	:: else -> q.chal = 0
	fi;
	q.echo = E.echo;
	q.ask = !E.confirmed;
	q.valid = !E.cand && to == E.valid;
	q.gm = E.gm
}

inline tell(k, to) {
	say(k, to);
	emit()
}

/* A new name of e's; the first after all was acknowledged opens a series, which has a claim. */
inline draw() {
	E.epoch++;
	E.echo = 0; /* it was for the former name */
	assert(E.epoch < 32);
	x = E.gen * 32 + E.epoch;
	if
	:: E.acked == E.name -> E.claim = x
	:: else
	fi;
	E.name = x;
	x = 0
}

inline refuse(k) {
	q.kind = k;
	q.src = E.place;
	q.dst = m.src;
	q.side = 1 - SIDE(e);
	q.you = m.name; /* what it quotes */
	q.was = m.you;
#if HAND
	if
	:: k == REDIRECT -> q.epoch = E.valid /* the place */
	:: else -> q.epoch = 0
	fi;
#else
	q.epoch = 0;
#endif
	q.claim = 0; q.name = 0; q.yclaim = 0; q.chal = 0; q.echo = 0; q.ask = 0; q.valid = 0; q.gm = 0;
	emit()
}

inline zero(w) {
	w.kind = 0; w.src = 0; w.dst = 0; w.side = 0; w.epoch = 0; w.claim = 0; w.was = 0; w.name = 0; w.you = 0; w.yclaim = 0; w.chal = 0; w.echo = 0;
	w.ask = 0; w.valid = 0; w.gm = 0
}

inline clear() {
	zero(m); zero(q);
	e = 0; i = 0; j = 0; x = 0; n = 0; newest = 0;
	knows = 0; same = 0; next = 0; was_open = 0; reply = 0; keep = 0
}

inline no_candidate() {
	E.cand = 0; E.expired = 0; E.allow = 0
}

/* What m is to e (design, "Judging"). */
inline judge() {
	knows = m.you == E.name || m.you == E.acked || (OPEN(E) && E.claim && m.yclaim == E.claim);
	same = m.epoch == E.peer.epoch && m.name == E.peer.name;
#ifdef NO_EPOCH
	next = (m.was == E.peer.name || (!E.peer.closed && m.claim == E.peer.claim))
#else
#ifdef NO_CLAIM
	next = m.epoch > E.peer.epoch && m.was == E.peer.name
#else
	next = m.epoch > E.peer.epoch && (m.was == E.peer.name || (!E.peer.closed && m.claim == E.peer.claim))
#endif
#endif
}

/* What an accepted message says about e itself. */
inline hear() {
	if
	:: m.you == E.name ->
		if
		:: OPEN(E) -> E.former = E.acked; E.acked = E.name
		:: else
		fi;
		if
		:: m.valid && m.dst == E.place -> E.confirmed = 1
		:: else
		fi;
		if
		:: m.chal && m.dst == E.place -> E.echo = m.chal
		:: else
		fi
	:: else
	fi
}

/* The peer's next view. */
inline take() {
	/* 1: nothing from before the last move; 3: never another copy than the one committed to. */
	assert(GEN(m.name) != GEN(E.peer.name) || m.gm >= E.peer.gm);
	assert(E.won == 0 || GEN(m.name) == E.won || GEN(m.name) == 0);
	newest = NEWEST(E);
	E.peer.epoch = m.epoch; E.peer.claim = m.claim; E.peer.name = m.name; E.peer.closed = 0; E.peer.gm = m.gm;
	if
#ifdef NO_PATH
	:: true -> no_candidate(); E.valid = m.src
#else
	:: m.src == E.valid -> no_candidate()
	:: else ->
		if
		:: m.src != E.cand -> E.allow = 0 /* it was another place's */
		:: else
		fi;
		E.cand = m.src; E.expired = 0
#endif
	fi;
#ifndef STATIONARY_SAME
	if
	/* A name that only who is taken learns: copies of it, made before, do not know it. */
	:: !was_open || (m.kind == RSYN && m.src != newest) -> draw()
	:: else
	fi;
#endif
	newest = 0
}

/* Who repeats what was sent to one place alone is there. */
inline validate() {
	if
#ifdef STATIONARY_SAME
	:: (E.cand || m.src != E.valid) && m.you == E.name && m.kind != RSYN ->
#else
	:: (E.cand || m.src != E.valid) && m.echo == CHALLENGE(m.src) ->
#endif
		E.valid = m.src;
		no_candidate()
	:: else
	fi
}

inline answer() {
	if
	:: m.kind == RSYN || E.cand || m.src != E.valid -> tell(RSYN_ACK, m.src)
	:: m.kind == RSYN_ACK && !E.cand && m.src == E.valid -> tell(RACK, m.src)
#ifndef NO_CONFIRM
	:: m.kind == RACK && !E.cand && m.src == E.valid && m.ask -> tell(RACK, m.src)
#endif
	:: else
	fi
}

/* An RSYN, RSYN-ACK or RACK reaches e. */
inline control() {
	judge();
	if
	:: !knows ->
		if
		:: m.kind == RSYN && m.you == E.former && !same -> refuse(SUPER)
		:: else
		fi
	:: knows && same ->
		reply = 1;
#ifdef REPEAT_IGNORED
		if
		:: m.kind == RSYN -> reply = 0
		:: else
		fi
#endif
	:: knows && !same && next -> reply = 1
	:: else -> /* what is newer than what we know may be so to a copy of ours, and we be stale */
		if
		:: m.kind == RSYN && m.epoch <= E.peer.epoch -> refuse(SUPER)
		:: else
		fi
	fi;
	if
	:: reply ->
		was_open = OPEN(E);
		hear();
		if
		:: next && !same -> take()
		:: else
		fi;
		/* Its series is closed: the claim has done its work. */
		if
		:: m.was == m.name -> E.peer.closed = 1
		:: else
		fi;
		validate();
		assert(E.valid != VICTIM);
		if
		:: !E.cand && m.was == m.name && m.you == E.name && GEN(m.name) != 0 -> E.won = GEN(m.name)
		:: else
		fi;
		if
		:: E.cand && m.kind == RSYN && m.src == E.cand -> E.allow = 1 /* one more than the answer */
		:: else
		fi;
		answer()
	:: else
	fi
}

#define OTHER_LIVE (ENDS == 4 && end[(e + 2) % ENDS].st == LIVE)
#define PEER_CLOSED (end[1 - SIDE(e)].st == CLOSED || (ENDS == 4 && end[(3 - SIDE(e)) % ENDS].st == CLOSED))

inline finish() {
	E.st = ENDED; E.echo = 0;
	E.cand = 0; E.allow = 0; E.expired = 0; E.confirmed = 0; E.won = 0; E.gm = 0;
	E.claim = 0; E.former = 0; E.epoch = 0;
	E.valid = 0; E.peer.epoch = 0; E.peer.claim = 0; E.peer.name = 0; E.peer.closed = 0; E.peer.gm = 0
}

#if HAND
#define OURS(p) ((p) <= 3) /* random names of either side are never the same; counted ones may be */

/* What comes to where e was: its importer says where it is now, or the peer asks (sf_move_follow(), sf_move_is_asked()). */
inline late() {
	if
	:: m.kind == RSYN && OURS(m.src) && (m.was == E.name || m.was == E.acked || m.was == E.former || (E.claim && m.claim == E.claim)) ->
		if
		:: m.epoch > E.epoch ->
			E.former = E.name; E.acked = m.was; E.name = m.name; E.claim = m.claim; E.epoch = m.epoch; E.valid = m.src
		:: else
		fi
	:: else ->
		if
		:: m.kind == RSYN && !OURS(m.src) && E.valid && (m.you == E.name || m.you == E.acked || m.you == E.former || (E.claim && m.yclaim == E.claim)) ->
			refuse(REDIRECT)
#ifdef LEFT_REFUSES
		:: m.kind == DATA || (m.kind == RSYN && !E.valid) -> refuse(HARD)
#endif
		:: else
		fi
	fi
}

/* To e somebody suggests where its peer is: one RSYN goes there, and nothing is believed. */
inline redirected() {
	if
	:: m.you == E.name && !E.confirmed -> tell(RSYN, m.epoch)
	:: else
	fi
}

/* An importer says to the exporter what it says to the peer. */
inline hand_told() {
	if
	:: e == 2 && end[0].st == LEFT && !E.confirmed ->
		say(RSYN, end[0].place);
		q.side = 0;
		q.was = E.former; /* the exporter knows it, also when the peer has heard of names that it has not */
		emit()
	:: else
	fi
}
#endif

/* A FAIL reaches e. */
inline failed() {
	if
	:: m.kind == SUPER && m.you == E.name && m.was == E.peer.name && OPEN(E) ->
		assert(OTHER_LIVE); /* 3: not both */
		finish()
	:: m.kind == HARD && m.you == E.name && !E.cand && m.src == E.valid ->
		assert(PEER_CLOSED);
		finish()
#ifdef SOFT_IS_HARD
	:: m.kind == SOFT && m.you == E.name ->
		assert(PEER_CLOSED);
		finish()
#endif
	:: else
	fi
}

/* Data reaches e: what it takes, the one that it committed to has sent. */
inline data() {
	if
	:: (m.you == E.name || m.you == E.acked) && (m.src == E.valid || (E.cand && m.src == E.cand)) ->
		assert(E.won == 0 || GEN(m.name) == 0 || GEN(m.name) == E.won);
		assert(m.src != VICTIM)
	:: else
	fi
}

/* m, whose receiver is e, takes effect. */
inline act() {
	if
	:: E.st == LIVE && m.kind <= RACK -> control()
	:: E.st == LIVE && m.kind >= SOFT && m.kind <= SUPER -> failed()
	:: E.st == LIVE && m.kind == DATA -> data()
#if HAND
	:: E.st == LIVE && m.kind == REDIRECT -> redirected()
	:: E.st == LEFT -> late()
#endif
	:: (E.st == CLOSED || E.st == ENDED) && (m.kind == RSYN || m.kind == DATA) && m.dst != UNRESOLVED -> refuse(HARD)
	:: else
	fi
}

#ifdef TWICE
/* 2: m again, at once: what e keeps does not change (its answer may go out again). */

inline twice() {
	kept[0] = E.epoch; kept[1] = E.name; kept[2] = E.acked; kept[3] = E.valid; kept[4] = E.peer.name; kept[5] = E.cand;
	kept[6] = E.echo; kept[7] = E.confirmed; kept[8] = E.claim; kept[9] = E.peer.closed; kept[10] = E.former;
	mute = 1;
	act();
	mute = 0;
	assert(kept[0] == E.epoch && kept[1] == E.name && kept[2] == E.acked && kept[3] == E.valid && kept[4] == E.peer.name &&
		kept[5] == E.cand && kept[6] == E.echo && kept[7] == E.confirmed && kept[8] == E.claim && kept[9] == E.peer.closed && kept[10] == E.former);
	j = 0;
	do
	:: j < 11 -> kept[j] = 0; j++
	:: else -> break
	od
}
#endif

/* An RSYN to where the peer said last that it is, as far as it has allowed that; else to where it was. */
inline seek() {
	if
	:: E.cand && E.allow == 0 -> tell(RSYN, E.valid)
	:: E.cand && E.allow > 0 -> E.allow--; tell(RSYN, E.cand)
	:: else -> tell(RSYN, E.valid)
	fi
}

/* Timer of e; x: 1 an RSYN goes unresolved, 2 to where the peer was last validated. */
inline timer() {
	if
	:: x == 1 && LOOKS(E) -> tell(RSYN, UNRESOLVED) /* the peer may be settled with a copy of e's, and not ask */
	:: MOVING && x == 2 -> tell(RSYN, E.valid)
	:: MOVING && !x -> seek()
	:: !MOVING && E.cand && (x == 2 || (!x && E.expired)) -> tell(RSYN_ACK, E.valid)
	:: !MOVING && E.cand && !x && !E.expired && E.allow > 0 -> E.allow--; tell(RSYN_ACK, E.cand)
	:: OPEN(E) && !MOVING && !E.cand -> tell(RSYN_ACK, E.valid)
#ifndef NO_CONFIRM
	:: !OPEN(E) && !E.confirmed && !E.cand && !x -> tell(RACK, E.valid)
	:: !OPEN(E) && !E.confirmed && !E.cand && x == 2 -> tell(RSYN, E.valid) /* from the third time on */
#endif
#if TALK
	:: !OPEN(E) && E.confirmed && !E.cand ->
		q.kind = DATA; q.src = E.place; q.dst = E.valid; q.side = 1 - SIDE(e); q.name = E.name; q.you = E.peer.name;
		q.epoch = 0; q.claim = 0; q.was = 0; q.yclaim = 0; q.chal = 0; q.echo = 0; q.ask = 0; q.valid = 0; q.gm = 0;
		emit()
#endif
	:: else
	fi
}

/* Takes the i-th message out of the bag, or copies it (keep). */
inline pick() {
	j = 0;
	n = len(net);
	do
	:: j < n ->
		net?FIELDS(q);
		if
		:: j == i -> m.kind = q.kind; m.src = q.src; m.dst = q.dst; m.side = q.side; m.epoch = q.epoch; m.claim = q.claim;
			m.was = q.was; m.name = q.name; m.you = q.you; m.yclaim = q.yclaim; m.chal = q.chal; m.echo = q.echo; m.ask = q.ask; m.valid = q.valid; m.gm = q.gm
		:: else
		fi;
		if
		:: j != i || keep -> net!FIELDS(q)
		:: else
		fi;
		j++
	:: else -> break
	od;
	zero(q);
	j = 0;
	n = 0
}

#define AT(a) (end[a].st != ABSENT && SIDE(a) == m.side && (m.dst == UNRESOLVED || end[a].place == m.dst))

#define LIVES(a) (end[a].st == LIVE || (ENDS == 4 && end[(a + 2) % ENDS].st == LIVE))
#define TAKEN(p) (end[0].place == (p) || end[1].place == (p) || (ENDS == 4 && (end[2 % ENDS].place == (p) || end[3 % ENDS].place == (p))))

inline move(p) {
	E.place = p;
	E.gm++;
	draw();
#ifdef STATIONARY_NO_CLAIM
	if
	:: E.confirmed -> E.claim = E.name
	:: else
	fi;
#endif
	E.confirmed = 0;
	timer()
}

/* e begins as the j-th. */
inline copy() {
	E.st = LIVE; E.epoch = end[j].epoch; E.claim = end[j].claim; E.name = end[j].name; E.acked = end[j].acked;
	E.former = end[j].former; E.confirmed = end[j].confirmed; E.allow = end[j].allow; E.expired = end[j].expired;
	E.valid = end[j].valid; E.cand = end[j].cand;
	E.peer.epoch = end[j].peer.epoch; E.peer.claim = end[j].peer.claim; E.peer.name = end[j].peer.name;
	E.peer.closed = end[j].peer.closed; E.peer.gm = end[j].peer.gm;
	E.echo = end[j].echo; E.gen = 2; E.gm = end[j].gm; E.won = end[j].won
}

#if HAND
#define DROP_HAND hand = 0
#else
#define DROP_HAND skip
#endif
#define LINKED(a, b) (end[a].st == LIVE && end[b].st == LIVE && !end[a].cand && end[a].valid == end[b].place && end[a].peer.name == end[b].name)
#define BOUND(a, b) (LINKED(a, b) && LINKED(b, a) && !OPEN(end[a]) && !OPEN(end[b]) && end[a].confirmed && end[b].confirmed)
#define OVER(a) (end[a].st == CLOSED || end[a].st == ENDED)
#define ANY_BOUND (BOUND(0, 1) || (ENDS == 4 && (BOUND(2 % ENDS, 1) || BOUND(0, 3 % ENDS) || BOUND(2 % ENDS, 3 % ENDS))))

init {
	d_step {
		end[0].st = LIVE; end[0].place = 1; end[0].confirmed = 1; end[0].valid = 4; end[0].peer.closed = 1;
		end[1].st = LIVE; end[1].place = 4; end[1].confirmed = 1; end[1].valid = 1; end[1].peer.closed = 1
	}
	do
	/* the network */
	:: !resumed && len(net) > 0 ->
		atomic {
			if
			:: i = 0
			:: len(net) > 1 -> i = 1
			:: len(net) > 2 -> i = 2
			:: len(net) > 3 -> i = 3
			fi;
			if
			:: true
			:: !calm -> keep = 1
			fi;
			d_step { pick(); n = 1 };
			if
			:: AT(0) -> e = 0
			:: AT(1) -> e = 1
			:: ENDS == 4 && AT(2 % ENDS) -> e = 2 % ENDS
			:: ENDS == 4 && AT(3 % ENDS) -> e = 3 % ENDS
			:: !AT(0) && !AT(1) && (ENDS == 2 || (!AT(2 % ENDS) && !AT(3 % ENDS))) -> n = 0
			fi;
			d_step {
			if
			:: n ->
				n = 0;
				act()
#ifdef TWICE
				;
				if
				:: m.kind <= RACK && E.st == LIVE -> twice()
				:: else
				fi
#endif
#if TALK
			:: !n && m.dst != UNRESOLVED && (m.kind == RSYN || m.kind == DATA) -> /* an absent host's router answers */
				q.kind = SOFT; q.src = m.dst; q.dst = m.src; q.side = 1 - m.side; q.you = m.name;
				emit()
#endif
			:: else
			fi;
			clear()
			}
		}
	:: !calm && len(net) > 0 -> /* loss */
		atomic {
			if
			:: i = 0
			:: len(net) > 1 -> i = 1
			:: len(net) > 2 -> i = 2
			:: len(net) > 3 -> i = 3
			fi;
			d_step { pick(); clear() }
		}
	/* timers */
	:: !calm && (LIVES(0) || LIVES(1)) ->
		atomic {
			if
			:: end[0].st == LIVE -> e = 0
			:: end[1].st == LIVE -> e = 1
			:: ENDS == 4 && end[2 % ENDS].st == LIVE -> e = 2 % ENDS
			:: ENDS == 4 && end[3 % ENDS].st == LIVE -> e = 3 % ENDS
			fi;
			if
			:: true
			:: LOOKS(E) -> x = 1
			:: E.cand || !E.confirmed -> x = 2
#if HAND
			:: e == 2 && !E.confirmed -> x = 3
#endif
#if ENDS == 4 || SPOOF
			:: E.cand && !E.expired && expiries > 0 -> j = 1; expiries--
#endif
			fi;
			d_step {
				if
				:: j -> E.expired = 1
#if HAND
				:: !j && x == 3 -> hand_told()
#endif
				:: !j && x < 3 -> timer()
				fi;
				clear()
			}
		}
	/* moves */
	:: !calm && ma > 0 && LIVES(0) ->
		atomic {
			ma--;
			if
			:: end[0].st == LIVE -> e = 0
			:: ENDS == 4 && end[2 % ENDS].st == LIVE -> e = 2 % ENDS
			fi;
			if
			:: !TAKEN(1) -> move(1)
			:: !TAKEN(2) -> move(2)
			:: !TAKEN(3) -> move(3)
			fi;
			clear()
		}
	:: !calm && mb > 0 && LIVES(1) ->
		atomic {
			mb--;
			if
			:: end[1].st == LIVE -> e = 1
			:: ENDS == 4 && end[3 % ENDS].st == LIVE -> e = 3 % ENDS
			fi;
			if
			:: !TAKEN(4) -> move(4)
			:: !TAKEN(5) -> move(5)
			:: !TAKEN(6) -> move(6)
			fi;
			clear()
		}
#if HAND
	/* A is handed over: exported, and imported with what was kept then, under another host's key */
	:: !calm && hand && end[0].st == LIVE ->
		atomic {
			hand = 0;
			e = 2; j = 0;
			copy();
			E.confirmed = 0; E.allow = 0; E.former = E.acked;
			end[0].st = LEFT; end[0].former = end[0].acked; end[0].acked = end[0].name; end[0].valid = 0; end[0].cand = 0;
			end[0].allow = 0; end[0].expired = 0; end[0].confirmed = 1; end[0].echo = 0; end[0].won = 0; end[0].gm = 0;
			end[0].peer.epoch = 0; end[0].peer.claim = 0; end[0].peer.name = 0; end[0].peer.closed = 0; end[0].peer.gm = 0;
			if
			:: !TAKEN(1) -> move(1)
			:: !TAKEN(2) -> move(2)
			:: !TAKEN(3) -> move(3)
			fi;
			clear()
		}
#endif
#if SNAPA || SNAPB
	/* a snapshot wakes up elsewhere */
	:: !calm && ((snapa > 0 && end[0].st == LIVE) || (snapb > 0 && end[1].st == LIVE)) ->
		atomic {
			if
			:: snapa > 0 && end[0].st == LIVE -> e = 2; snapa--
			:: snapb > 0 && end[1].st == LIVE -> e = 3; snapb--
			fi;
			j = e - 2;
			end[j].gen = 1;
			copy();
			if
			:: e == 2 && !TAKEN(1) -> move(1)
			:: e == 2 && !TAKEN(2) -> move(2)
			:: e == 3 && !TAKEN(5) -> move(5)
			:: e == 3 && !TAKEN(6) -> move(6)
			:: else -> move(7)
			fi;
			clear()
		}
#endif
#if SPOOF
	/* the attacker repeats what was under way, with a bystander's address; what goes to the bystander it does not see */
	:: !calm && spoofs > 0 && len(net) > 0 && len(net) < NET ->
		atomic {
			if
			:: i = 0
			:: len(net) > 1 -> i = 1
			:: len(net) > 2 -> i = 2
			fi;
			keep = 1;
			pick();
			if
			:: m.kind <= RACK && m.dst != VICTIM ->
				spoofs--;
				if
				:: q.src = VICTIM
				:: q.src = 1
				:: q.src = 4
				fi;
				q.dst = m.dst; q.side = m.side; q.epoch = m.epoch; q.claim = m.claim; q.was = m.was;
				q.name = m.name; q.you = m.you; q.yclaim = m.yclaim; q.chal = m.chal; q.echo = m.echo; q.ask = m.ask; q.valid = m.valid; q.gm = m.gm;
				if
				:: q.kind = m.kind
				:: m.kind != RACK -> q.kind = RACK
				fi;
				emit()
			:: else
			fi;
			clear()
		}
#endif
#if CLOSE
	:: !calm && closes > 0 && (end[0].st == LIVE || end[1].st == LIVE) ->
		atomic {
			closes--;
			if
			:: end[0].st == LIVE -> e = 0
			:: end[1].st == LIVE -> e = 1
			fi;
			finish();
			E.st = CLOSED;
			clear()
		}
#endif
	:: !calm && len(net) == 0 -> /* what is in the bag may as well arrive, or be lost, before */
		d_step { calm = 1; ma = 0; mb = 0; snapa = 0; snapb = 0; spoofs = 0; closes = 0; expiries = 0; DROP_HAND }
	:: calm && !resumed && len(net) == 0 ->
		atomic {
			if
			:: ANY_BOUND -> resumed = 1
#if CLOSE
			:: (OVER(0) && OVER(1)) -> resumed = 1
#endif
			:: else ->
#ifdef LIVENESS
				round = (round + 1) % 6;
#else
				round++;
				assert(round <= ROUNDS);
#endif
#if CLOSE
				/* move_grace of soft failures */
				if
				:: round > 3 && OVER(0) && end[1].st == LIVE -> e = 1; finish()
				:: round > 3 && OVER(1) && end[0].st == LIVE -> e = 0; finish()
				:: else
				fi;
#endif
				/* In turn: where the bag is full the last ones are lost. */
				e = round % ENDS;
				do
				:: j < ENDS ->
					if
					:: E.st == LIVE ->
						if
						:: E.cand && round > 2 -> E.expired = 1
						:: else
						fi;
#ifdef NO_HOST
						x = 2 * (round % 2);
#else
						x = round % 3;
#endif
						timer();
#if HAND
						hand_told()
#endif
					:: else
					fi;
					e = (e + 1) % ENDS;
					j++
				:: else -> break
				od;
				clear()
			fi
		}
	:: resumed -> break
	od
}

#ifdef LIVENESS
ltl resumes { [] (calm -> <> resumed) }
#endif
