// SPDX-License-Identifier: Apache-2.0
/*
 * renegotiation.pml - the renegotiation of docs/design/0004-renegotiation.md, for SPIN (paper section 4.2.2).
 *
 * Theory of operation
 *
 * One process makes one atomic step after another, each chosen freely: deliver a message (or a copy of it), lose one,
 * let a timer fire, move an end, copy an end (a VM snapshot that wakes up elsewhere), close one, let the attacker act.
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
 * Bounds by -D: MA, MB moves of either side; SNAPA, SNAPB copies; SPOOF acts of the attacker; CLOSE closes; NET; ROUNDS;
 * TALK: idle ends send data; TWICE: each message is taken twice and must have the effect of once.
 * Broken by -D: NO_EPOCH NO_CLAIM STATIONARY_SAME REPEAT_IGNORED NO_PATH SOFT_IS_HARD, and what the founding design lacked:
 * NO_CONFIRM STATIONARY_NO_CLAIM.
 */
#ifndef MA
#define MA 2
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
#if SNAPA || SNAPB
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

/* states of an end */
#define ABSENT 0
#define LIVE   1
#define CLOSED 2 /* by its program */
#define ENDED  3 /* by a FAIL */

typedef View {
	byte place;
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
	View valid;
	bit has; /* a candidate */
	View cand;
	byte budget;
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
#ifdef TWICE
byte kept[11];
bit mute;
#endif
byte round;
bit calm;
bit resumed;

/* Work of one step; all zero between steps. */
Msg m, q;
View r;
byte e, i, j, x, n;
bit knows, same, older, succ, succ_valid, take, reply, keep;

#define E     end[e]
#define SIDE(a) ((a) & 1)
#define FIELDS(a) a.kind, a.src, a.dst, a.side, a.epoch, a.claim, a.was, a.name, a.you, a.yclaim, a.chal, a.echo, a.ask, a.valid, a.gm
#define MOVING (!E.confirmed && (OPEN(E) || E.has)) /* owes RSYN */
#define GEN(name) ((name) >> 5)
#define OPEN(z) (z.acked != z.name)

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

/* r: the view that e goes by. */
inline refer() {
	if
	:: E.has -> r.place = E.cand.place; r.epoch = E.cand.epoch; r.claim = E.cand.claim; r.name = E.cand.name; r.closed = E.cand.closed; r.gm = E.cand.gm
	:: else -> r.place = E.valid.place; r.epoch = E.valid.epoch; r.claim = E.valid.claim; r.name = E.valid.name; r.closed = E.valid.closed; r.gm = E.valid.gm
	fi
}

/* e tells its whole view. */
inline tell(k, to) {
	refer();
	q.kind = k;
	q.src = E.place;
	q.dst = to;
	q.side = 1 - SIDE(e);
	q.epoch = E.epoch;
	q.claim = E.claim;
	q.was = E.acked;
	q.name = E.name;
	q.you = r.name;
	q.yclaim = r.claim;
	if
	:: k == RSYN_ACK -> q.chal = to
	:: else -> q.chal = 0
	fi;
	q.echo = E.echo;
	q.ask = !E.confirmed;
	q.valid = !E.has && to == E.valid.place;
	q.gm = E.gm;
	emit()
}

/* A new name of e's; the first after all was acknowledged opens a series, which has a claim. */
inline draw() {
	E.epoch++;
	assert(E.epoch < 32);
#ifdef NO_CLAIM
	E.name = E.epoch;
#else
	x = E.gen * 32 + E.epoch;
	if
	:: E.acked == E.name -> E.claim = x
	:: else
	fi;
	E.name = x;
	x = 0
#endif
}

inline refuse(k) {
	q.kind = k;
	q.src = E.place;
	q.dst = m.src;
	q.side = 1 - SIDE(e);
	q.you = m.name; /* what it quotes */
	q.epoch = 0; q.claim = 0; q.was = 0; q.name = 0; q.yclaim = 0; q.chal = 0; q.echo = 0; q.ask = 0; q.valid = 0; q.gm = 0;
	emit()
}

inline zero(w) {
	w.kind = 0; w.src = 0; w.dst = 0; w.side = 0; w.epoch = 0; w.claim = 0; w.was = 0; w.name = 0; w.you = 0; w.yclaim = 0; w.chal = 0; w.echo = 0;
	w.ask = 0; w.valid = 0; w.gm = 0
}

inline clear() {
	zero(m); zero(q);
	r.place = 0; r.epoch = 0; r.claim = 0; r.name = 0; r.closed = 0; r.gm = 0;
	e = 0; i = 0; j = 0; x = 0; n = 0;
	knows = 0; same = 0; older = 0; succ = 0; succ_valid = 0; take = 0; reply = 0; keep = 0
}

inline no_candidate() {
	E.has = 0; E.expired = 0; E.budget = 0;
	E.cand.place = 0; E.cand.epoch = 0; E.cand.claim = 0; E.cand.name = 0; E.cand.closed = 0; E.cand.gm = 0
}

/* Only copies are refused: without them one thing less to tell states by. */
inline learn() {
#if ENDS == 4
	E.former = E.acked
#else
	skip
#endif
}

/* What m is to e (design, "Judging"). */
inline judge() {
	refer();
	knows = m.you == E.acked || (OPEN(E) && m.yclaim == E.claim);
	same = m.epoch == r.epoch && m.name == r.name;
#ifdef NO_EPOCH
	older = 0;
	succ = !same && (m.was == r.name || (m.claim == r.claim && !r.closed));
	succ_valid = E.has && (m.was == E.valid.name || (m.claim == E.valid.claim && !E.valid.closed));
#else
	older = m.epoch < r.epoch;
	succ = m.epoch > r.epoch && (m.was == r.name || (m.claim == r.claim && !r.closed));
	succ_valid = E.has && m.epoch > E.valid.epoch && (m.was == E.valid.name || (m.claim == E.valid.claim && !E.valid.closed));
#endif
}

/* An RSYN, RSYN-ACK or RACK reaches e. */
inline control() {
	judge();
	if
	:: !knows ->
		if
		:: m.kind == RSYN && m.you == E.former && !same && !older && E.former != E.acked -> refuse(SUPER)
		:: else
		fi
	:: knows && same && m.src == r.place ->
		reply = 1;
#ifdef REPEAT_IGNORED
		if
		:: m.kind == RSYN -> reply = 0
		:: else
		fi;
#endif
	:: knows && same && m.src != r.place -> reply = 1 /* the challenge will tell which place is true */
	:: knows && !same && succ -> take = 1
	:: knows && !same && !succ && succ_valid -> take = E.expired && m.claim != r.claim /* a rival, not its past */
	:: knows && !same && !succ && !succ_valid && older
	:: else ->
		if
		:: m.kind == RSYN -> refuse(SUPER)
		:: else
		fi
	fi;
	if
	:: take ->
		/* 1: nothing from before the last move; 3: never another copy than the one committed to. */
		assert(GEN(m.name) != GEN(r.name) || m.gm >= r.gm);
		assert(E.won == 0 || GEN(m.name) == E.won || GEN(m.name) == 0);
		reply = 1
	:: else
	fi;
	if
	:: reply ->
		/* It knows my name: the series is closed. */
		if
		:: m.you == E.name && OPEN(E) -> learn(); E.acked = E.name
		:: else
		fi;
		if
		:: m.you == E.name && m.valid -> E.confirmed = 1
		:: else
		fi
	:: else
	fi;
	if
	:: take ->
		E.echo = m.chal;
		if
#ifdef NO_PATH
		:: true ->
#else
		:: m.src == E.valid.place ->
#endif
			E.valid.place = m.src; E.valid.epoch = m.epoch; E.valid.claim = m.claim; E.valid.name = m.name; E.valid.closed = 0; E.valid.gm = m.gm;
			no_candidate()
#ifndef NO_PATH
		:: else ->
			E.has = 1; E.expired = 0;
			E.cand.place = m.src; E.cand.epoch = m.epoch; E.cand.claim = m.claim; E.cand.name = m.name; E.cand.closed = 0; E.cand.gm = m.gm
#endif
		fi;
#ifndef STATIONARY_SAME
		if
		:: m.kind == RSYN && m.src != r.place -> draw()
		:: else
		fi
#endif
	:: !take && reply && m.chal -> E.echo = m.chal
	:: else
	fi;
	if
	:: reply ->
		/* Its series is closed: the claim has done its work. */
		if
		:: m.was == m.name && E.has -> E.cand.closed = 1
		:: m.was == m.name && !E.has -> E.valid.closed = 1
		:: else
		fi;
		/* Who can repeat what was sent to that place alone is there. */
		if
#ifdef STATIONARY_SAME
		:: (E.has || m.src != E.valid.place) && m.you == E.name && m.kind != RSYN ->
#else
		:: (E.has || m.src != E.valid.place) && m.you == E.name && m.echo == m.src ->
#endif
			refer();
			E.valid.place = m.src; E.valid.epoch = r.epoch; E.valid.claim = r.claim; E.valid.name = r.name;
			E.valid.closed = r.closed; E.valid.gm = r.gm;
			no_candidate()
		:: else
		fi;
		assert(E.valid.place != VICTIM);
		if
		:: !E.has && m.was == m.name && m.you == E.name && GEN(m.name) != 0 -> E.won = GEN(m.name)
		:: else
		fi;
		if
		:: E.has && m.kind == RSYN -> E.budget = 1 /* one more than the answer */
		:: else
		fi;
		if
		:: m.kind == RSYN || E.has || m.src != E.valid.place -> tell(RSYN_ACK, m.src)
		:: m.kind == RSYN_ACK && !E.has && m.src == E.valid.place -> tell(RACK, m.src)
#ifndef NO_CONFIRM
		:: m.kind == RACK && !E.has && m.src == E.valid.place && m.ask -> tell(RACK, m.src)
#endif
		:: else
		fi
	:: else
	fi
}

#define OTHER_LIVE (ENDS == 4 && end[(e + 2) % ENDS].st == LIVE)
#define PEER_CLOSED (end[1 - SIDE(e)].st == CLOSED || (ENDS == 4 && end[(3 - SIDE(e)) % ENDS].st == CLOSED))

inline finish() {
	E.st = ENDED; E.echo = 0;
	E.has = 0; E.budget = 0; E.expired = 0; E.confirmed = 0; E.won = 0; E.gm = 0;
	E.claim = 0; E.former = 0; E.epoch = 0;
	E.valid.place = 0; E.valid.epoch = 0; E.valid.claim = 0; E.valid.name = 0; E.valid.closed = 0; E.valid.gm = 0;
	E.cand.place = 0; E.cand.epoch = 0; E.cand.claim = 0; E.cand.name = 0; E.cand.closed = 0; E.cand.gm = 0
}

/* A FAIL reaches e. */
inline failed() {
	refer();
	if
	:: m.kind == SUPER && m.you == E.name && OPEN(E) ->
		assert(OTHER_LIVE); /* 3: not both */
		finish()
	:: m.kind == HARD && m.you == E.name && m.src == r.place ->
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
	refer();
	if
	:: (m.you == E.name || m.you == E.acked) && (m.src == E.valid.place || (E.has && m.src == E.cand.place)) ->
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
	:: (E.st == CLOSED || E.st == ENDED) && (m.kind == RSYN || m.kind == DATA) && m.dst != UNRESOLVED -> refuse(HARD)
	:: else
	fi
}

#ifdef TWICE
/* 2: m again, at once: what e keeps does not change (its answer may go out again). */

inline twice() {
	kept[0] = E.epoch; kept[1] = E.name; kept[2] = E.acked; kept[3] = E.valid.place; kept[4] = E.valid.name; kept[5] = E.has;
	kept[6] = E.cand.place; kept[7] = E.cand.name; kept[8] = E.echo; kept[9] = E.confirmed; kept[10] = E.claim;
	mute = 1;
	act();
	mute = 0;
	assert(kept[0] == E.epoch && kept[1] == E.name && kept[2] == E.acked && kept[3] == E.valid.place && kept[4] == E.valid.name && kept[5] == E.has &&
		kept[6] == E.cand.place && kept[7] == E.cand.name && kept[8] == E.echo && kept[9] == E.confirmed && kept[10] == E.claim);
	j = 0;
	do
	:: j < 11 -> kept[j] = 0; j++
	:: else -> break
	od
}
#endif

/* Timer of e; x: 1 an RSYN goes unresolved, 2 to where the peer was last validated. */
inline timer() {
	refer();
	if
	:: MOVING ->
		if
		:: x == 1 -> tell(RSYN, UNRESOLVED)
		:: x == 2 -> tell(RSYN, E.valid.place)
		:: else -> tell(RSYN, r.place)
		fi
	:: !MOVING && E.has && x == 2 -> tell(RSYN_ACK, E.valid.place)
	:: !MOVING && E.has && x != 2 && E.budget > 0 -> E.budget--; tell(RSYN_ACK, r.place)
	:: OPEN(E) && !MOVING && !E.has -> tell(RSYN_ACK, r.place)
#ifndef NO_CONFIRM
	:: !OPEN(E) && !E.confirmed && !E.has -> tell(RACK, r.place)
#endif
#if TALK
	:: !OPEN(E) && E.confirmed && !E.has ->
		q.kind = DATA; q.src = E.place; q.dst = r.place; q.side = 1 - SIDE(e); q.name = E.name; q.you = r.name;
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
	E.echo = 0;
	timer()
}

#define LINKED(a, b) (end[a].st == LIVE && end[b].st == LIVE && !end[a].has && end[a].valid.place == end[b].place && end[a].valid.name == end[b].name)
#define BOUND(a, b) (LINKED(a, b) && LINKED(b, a) && !OPEN(end[a]) && !OPEN(end[b]) && end[a].confirmed && end[b].confirmed)
#define OVER(a) (end[a].st == CLOSED || end[a].st == ENDED)
#define ANY_BOUND (BOUND(0, 1) || (ENDS == 4 && (BOUND(2 % ENDS, 1) || BOUND(0, 3 % ENDS) || BOUND(2 % ENDS, 3 % ENDS))))

init {
	d_step {
		end[0].st = LIVE; end[0].place = 1; end[0].confirmed = 1; end[0].valid.place = 4;
		end[1].st = LIVE; end[1].place = 4; end[1].confirmed = 1; end[1].valid.place = 1
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
			:: MOVING -> x = 1
			:: E.has -> x = 2
#if ENDS == 4 || SPOOF
			:: E.has && !E.expired && expiries > 0 -> j = 1; expiries--
#endif
			fi;
			d_step {
				if
				:: j -> E.expired = 1
				:: else -> timer()
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
#if ENDS == 4
	/* a snapshot wakes up elsewhere */
	:: !calm && ((snapa > 0 && end[0].st == LIVE) || (snapb > 0 && end[1].st == LIVE)) ->
		atomic {
			if
			:: snapa > 0 && end[0].st == LIVE -> e = 2; snapa--
			:: snapb > 0 && end[1].st == LIVE -> e = 3; snapb--
			fi;
			j = e - 2;
			end[j].gen = 1;
			E.st = LIVE; E.epoch = end[j].epoch; E.claim = end[j].claim; E.name = end[j].name; E.acked = end[j].acked;
			E.former = end[j].former; E.has = end[j].has; E.budget = end[j].budget; E.expired = end[j].expired;
			E.valid.place = end[j].valid.place; E.valid.epoch = end[j].valid.epoch; E.valid.claim = end[j].valid.claim;
			E.valid.name = end[j].valid.name; E.valid.closed = end[j].valid.closed; E.valid.gm = end[j].valid.gm;
			E.cand.place = end[j].cand.place; E.cand.epoch = end[j].cand.epoch; E.cand.claim = end[j].cand.claim;
			E.cand.name = end[j].cand.name; E.cand.closed = end[j].cand.closed; E.cand.gm = end[j].cand.gm;
			E.echo = end[j].echo; E.gen = 2; E.gm = end[j].gm; E.won = end[j].won;
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
		d_step { calm = 1; ma = 0; mb = 0; snapa = 0; snapb = 0; spoofs = 0; closes = 0; expiries = 0 }
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
				e = 0;
				do
				:: e < ENDS ->
					if
					:: E.st == LIVE -> 
						if
						:: E.has && round > 2 -> E.expired = 1
						:: else
						fi;
						x = round % 3;
						timer()
					:: else
					fi;
					e++
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
