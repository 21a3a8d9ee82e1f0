// SPDX-License-Identifier: GPL-2.0-only
/*
 * socket_events.bpf.c - registration follows sockets: hooks on the root control group see each
 * socket of each host (network namespace) that begins or ceases to serve (ARCHITECTURE.md, "A
 * registration's way").
 *
 * Theory of operation
 *
 *   bind()     cgroup/post_bind6   remembers in the socket's storage who binds it to what; a UDP
 *                                  socket serves from then on
 *   listen()   sockops LISTEN_CB   a TCP socket serves from then on
 *   connected  sockops             its timers are set for moves
 *   close()    cgroup/sock_release one socket less; the last one's key is gone before the kernel
 *                                  closes the socket, on exit and kill -9 as well
 *   connect()  cgroup/connect6     to a service that lives on this host: bind the socket to lo, so
 *                                  that both directions stay there
 *   connect()  cgroup/connect6     from a service address: only by who may register services
 *   sendmsg()  cgroup/sendmsg6     likewise
 *
 * The count of a key's sockets decides who of several that come and go at once removes it: who
 * takes it from 0 to SOCKETS_GONE, and no other. Who comes to a key that is going waits until it is
 * gone, and makes a new one. Its removal is told before it happens: so no event of a new key is in
 * the ring before the last one of the old.
 *
 * A key that appears is PENDING, and delivered to only when the agent has judged it LIVE. The agent
 * judges by running sf_listener_judge (BPF_PROG_TEST_RUN): it changes the verdict in place and
 * leaves the number of sockets alone, which changes under the agent's hands.
 *
 * Only namespaces in `hosts` are looked at. A socket bound to a service address serves that; one
 * bound to :: serves what `runs` says of the control group of who bound it, or of an ancestor.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>

#include "core/datapath.h"
#include "core/flow.h"
#include "core/hooks.h"

char _license[] SEC("license") = "GPL";

#define AF_INET6	10
#define SOL_SOCKET	1
#define SOL_TCP		6
#define RTO_MIN_US	20000
#define DELACK_MAX_US	10000
#define SO_BINDTODEVICE 25
#define CGROUP_DEPTH	12 /* ancestors of a control group that are looked at */
#define EEXIST		17
#define SOCKETS_GONE	(-0x40000000) /* count of a key that is being removed */
#define SERVE_TRIES	128

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SF_LISTENERS_MAX);
	__type(key, struct sf_listener_key);
	__type(value, struct sf_listener);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct sf_hook_host);
} hosts SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sf_run_key);
	__type(value, struct sf_addr);
} runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct sf_hook_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct sf_sender_key);
	__type(value, __u8);
} senders SEC(".maps");

/* The four words of an address in a context, each fetched as the word it is: the kernel allows no
 * wider reads there, and the compiler would join them. */
#define WORD(ctx_field, i) (*(volatile __u32 *)&(ctx_field)[i])
#define ADDR(ctx_field)                                                                       \
	((struct sf_addr){ .w = { WORD(ctx_field, 0), WORD(ctx_field, 1), WORD(ctx_field, 2), \
				  WORD(ctx_field, 3) } })

/** struct socket - what is remembered of a socket. */
struct socket {
	struct sf_listener_key key; /* host 0: none */
	__u64 cgroup;
	__u32 uid;
	__u32 pid;
	__u8 flags;  /* SF_LISTENER_* */
	__u8 served; /* it is counted in listeners */
	__u8 lo;     /* we bound it to lo */
	__u8 denied; /* reason why it may not send from its address; 0: it may */
	__u8 pad[4];
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket);
} sockets SEC(".maps");

/** lost() - the agent of a host has missed something, and must look for itself. */
static __always_inline void lost(__u64 host)
{
	struct sf_hook_counts *c = bpf_map_lookup_elem(&counts, &host);

	if (c)
		__sync_fetch_and_add(&c->lost, 1);
}

/** tell() - an event into the ring of the socket's host; a host without one is fine. */
static __always_inline void tell(const struct socket *s, __u64 cookie, __u8 kind, __s32 left)
{
	void *ring = bpf_map_lookup_elem(&rings, &s->key.host);
	struct sf_socket_event *e;

	if (!ring)
		return;
	e = bpf_ringbuf_reserve(ring, sizeof(*e), 0);
	if (!e) {
		lost(s->key.host);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->key = s->key;
	e->cookie = cookie;
	e->cgroup = s->cgroup;
	e->uid = s->uid;
	e->pid = s->pid;
	e->left = left;
	e->kind = kind;
	e->flags = s->flags;
	__builtin_memcpy(e->comm, s->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
}

/** serve() - one socket more on the key of @s. */
static __always_inline void serve(struct socket *s, __u64 cookie)
{
	struct sf_listener fresh = { .sockets = 1,
				     .state = SF_LISTENER_PENDING,
				     .flags = s->flags,
				     .uid = s->uid,
				     .pid = s->pid,
				     .cgroup = s->cgroup };
	struct sf_listener *l;
	__s32 left = 0;
	int err; /* the kernel returned an int before 6.4, and not its sign in 64 bits */

	if (s->served)
		return;
	for (int i = 0; i < SERVE_TRIES && left <= 0; i++) {
		err = bpf_map_update_elem(&listeners, &s->key, &fresh, BPF_NOEXIST);
		if (!err)
			left = 1;
		else if (err != -EEXIST)
			break;
		else if ((l = bpf_map_lookup_elem(&listeners, &s->key)))
			left = __sync_fetch_and_add(&l->sockets, 1) + 1;
	}
	s->served = left > 0;
	if (!s->served)
		lost(s->key.host);
	tell(s, cookie, SF_SOCKET_LISTEN, left > 0 ? left : 1);
}

/** run_service() - the service of wildcard sockets of the current control group, if any. */
static __always_inline const struct sf_addr *run_service(void)
{
	struct sf_run_key k = { .cgroup = bpf_get_current_cgroup_id() };
	const struct sf_addr *a = bpf_map_lookup_elem(&runs, &k);

	for (int i = CGROUP_DEPTH; !a && i > 0; i--) {
		k.cgroup = bpf_get_current_ancestor_cgroup_id(i);
		if (k.cgroup)
			a = bpf_map_lookup_elem(&runs, &k);
	}
	return a;
}

/** key_find() - which service address a local address stands for. Return: whether it does. */
static __always_inline bool key_find(const struct sf_hook_host *h, const struct sf_addr *local,
				     struct socket *s)
{
	const struct sf_addr *run;

	if (sf_addr_is_service(&h->net, local)) {
		s->key.addr = *local;
		return true;
	}
	if (!sf_addr_is_zero(local))
		return false;
	run = run_service();
	if (!run)
		return false;
	s->key.addr = *run;
	s->flags |= SF_LISTENER_WILDCARD;
	return true;
}

/** sender_verdict() - what the policy says of a user, group or control group: 0 nothing. */
static __always_inline __u8 sender_verdict(__u64 host, __u32 kind, __u64 id)
{
	struct sf_sender_key k = {
		.prefixlen = SF_SENDER_BITS, .kind = kind, .host = host, .id = sf_be64(id)
	};
	__u8 *v = bpf_map_lookup_elem(&senders, &k);

	return v ? *v : 0;
}

/** sender_judge() - whether the current program may use service addresses as source.
 * Return: 0, or the reason why not. */
static __always_inline __u8 sender_judge(const struct sf_hook_host *h, __u64 host)
{
	__u64 ids = bpf_get_current_uid_gid();
	bool allowed = false;
	__u64 cgroup;
	__u8 v;

	if (!(h->flags & SF_HOOK_SENDERS))
		return 0;
	if (h->flags & SF_HOOK_SENDER_CGROUPS) {
		v = sender_verdict(host, SF_SENDER_CGROUP, bpf_get_current_cgroup_id());
		if (v == SF_SENDER_DENIED)
			return SF_DENIED_CGROUP;
		allowed = v == SF_SENDER_ALLOWED;
		for (int i = CGROUP_DEPTH; i > 0; i--) {
			cgroup = bpf_get_current_ancestor_cgroup_id(i);
			if (!cgroup)
				continue;
			v = sender_verdict(host, SF_SENDER_CGROUP, cgroup);
			if (v == SF_SENDER_DENIED)
				return SF_DENIED_CGROUP;
			allowed |= v == SF_SENDER_ALLOWED;
		}
	}
	if (allowed || sender_verdict(host, SF_SENDER_UID, (__u32)ids) == SF_SENDER_ALLOWED)
		return 0;
	if ((h->flags & SF_HOOK_SENDER_GIDS) &&
	    sender_verdict(host, SF_SENDER_GID, ids >> 32) == SF_SENDER_ALLOWED)
		return 0;
	return SF_DENIED_UID;
}

/** source_is_own() - a host's identity: what the kernel chooses for who binds nothing. */
static __always_inline bool source_is_own(const struct sf_addr *a)
{
	return a->w[1] == sf_be32(SF_SSID_HOSTS);
}

/** denied() - count a send from @addr by the current program. */
static __always_inline void denied(__u64 host, const struct sf_addr *addr, __u8 reason)
{
	struct sf_hook_counts *c = bpf_map_lookup_elem(&counts, &host);

	if (!c)
		return;
	__sync_fetch_and_add(reason == SF_DENIED_CGROUP ? &c->denied_cgroup : &c->denied, 1);
	/* Of whom it was last, several may write at once: it is for people. */
	c->addr = *addr;
	c->uid = (__u32)bpf_get_current_uid_gid();
	c->pid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	bpf_get_current_comm(c->comm, sizeof(c->comm));
}

SEC("cgroup/post_bind6")
int sf_post_bind(struct bpf_sock *ctx)
{
	__u64 host = bpf_get_netns_cookie(ctx), cookie, ids;
	struct socket s = {}, *kept;
	struct sf_hook_host *h;
	struct sf_addr local;

	h = bpf_map_lookup_elem(&hosts, &host);
	if (!h || (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP))
		return 1;
	local = ADDR(ctx->src_ip6);
	if (!key_find(h, &local, &s))
		return 1;
	s.key.host = host;
	s.key.port = sf_be16(ctx->src_port);
	s.key.proto = (__u8)ctx->protocol;
	ids = bpf_get_current_uid_gid();
	s.uid = (__u32)ids;
	ids = bpf_get_current_pid_tgid();
	s.pid = (__u32)(ids >> 32);
	s.cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(s.comm, sizeof(s.comm));
	if (!(s.flags & SF_LISTENER_WILDCARD) && !source_is_own(&local))
		s.denied = sender_judge(h, host);
	kept = bpf_sk_storage_get(&sockets, ctx, &s, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return 1;
	/* A socket is bound once; what was there is of connect(). */
	if (!kept->served) {
		s.lo = kept->lo;
		*kept = s;
	}
	cookie = bpf_get_socket_cookie(ctx);
	if (ctx->protocol == IPPROTO_UDP)
		serve(kept, cookie);
	return 1;
}

/** listen_unseen() - a listener that was bound before the hooks were there, or not at all. */
static __always_inline struct socket *listen_unseen(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
						    const struct sf_hook_host *h, __u64 host)
{
	struct socket s = { .uid = ~0u };
	struct sf_addr local;

	local = ADDR(ctx->local_ip6);
	if (!sf_addr_is_service(&h->net, &local))
		return NULL;
	s.key.host = host;
	s.key.addr = local;
	s.key.port = sf_be16((__u16)ctx->local_port);
	s.key.proto = IPPROTO_TCP;
	return bpf_sk_storage_get(&sockets, sk, &s, BPF_SK_STORAGE_GET_F_CREATE);
}

/**
 * hasten() - a connection of services repeats what was lost, and acknowledges, sooner than TCP
 * does: a move's pause is shorter than the 200 ms for which it would wait at least, and a kick
 * (bpf/moves.h) helps only who has repeated once. The peer acknowledges soon as well, so what is
 * merely on its way is not repeated.
 */
static __always_inline void hasten(struct bpf_sock_ops *ctx)
{
	int rto = RTO_MIN_US, delack = DELACK_MAX_US;

	/* A kernel whose clock is too coarse takes neither. */
	if (!bpf_setsockopt(ctx, SOL_TCP, TCP_BPF_DELACK_MAX, &delack, sizeof(delack)))
		bpf_setsockopt(ctx, SOL_TCP, TCP_BPF_RTO_MIN, &rto, sizeof(rto));
}

/**
 * widen() - a connection that was handed over begins with a window of its own, beside what was
 * under way before: else its first segment would wait until most of that is acknowledged.
 */
static __always_inline void widen(struct bpf_sock_ops *ctx, __u32 mark)
{
	int segments = (int)(mark & SF_HOOK_IMPORTED_SEGS);

	if ((mark & ~SF_HOOK_IMPORTED_SEGS) == SF_HOOK_IMPORTED)
		bpf_setsockopt(ctx, SOL_TCP, TCP_BPF_IW, &segments, sizeof(segments));
}

/** speaks_to_service() - whether a connection has a service at one of its ends. */
static __always_inline bool speaks_to_service(struct bpf_sock_ops *ctx,
					      const struct sf_hook_host *h)
{
	return WORD(ctx->local_ip6, 0) == h->net.service ||
	       WORD(ctx->remote_ip6, 0) == h->net.service;
}

SEC("sockops")
int sf_listen(struct bpf_sock_ops *ctx)
{
	struct sf_hook_host *h;
	struct bpf_sock *sk;
	struct socket *s;
	__u64 host;

	if (ctx->family != AF_INET6 || ctx->op < BPF_SOCK_OPS_TCP_CONNECT_CB)
		return 1;
	host = bpf_get_netns_cookie(ctx);
	h = bpf_map_lookup_elem(&hosts, &host);
	sk = ctx->sk;
	if (!h || !sk)
		return 1;
	/* Before the first round trip is measured: from then on the least wait is in what TCP
	 * expects, and fades slowly. A connection that comes in has its listener's. */
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB ||
	    ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ||
	    ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		if (speaks_to_service(ctx, h)) {
			hasten(ctx);
			/* No SYN-ACK made it: it was in repair mode, so whoever set the mark
			 * may set all of a connection's state. */
			if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && !ctx->skb_len)
				widen(ctx, sk->mark);
		}
		return 1;
	}
	if (ctx->op != BPF_SOCK_OPS_TCP_LISTEN_CB)
		return 1;
	s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!s || !s->key.host)
		s = listen_unseen(ctx, sk, h, host);
	if (s && s->key.host) {
		if (!(s->flags & SF_LISTENER_WILDCARD)) /* it takes the plain world's, too */
			hasten(ctx);
		serve(s, bpf_get_socket_cookie(ctx));
	}
	return 1;
}

SEC("cgroup/sock_release")
int sf_release(struct bpf_sock *ctx)
{
	struct socket *s = bpf_sk_storage_get(&sockets, ctx, NULL, 0);
	struct sf_listener *l;
	__u64 cookie;
	__s32 left;

	if (!s || !s->served)
		return 1;
	s->served = 0;
	cookie = bpf_get_socket_cookie(ctx);
	l = bpf_map_lookup_elem(&listeners, &s->key);
	if (!l)
		return 1;
	left = __sync_fetch_and_add(&l->sockets, -1) - 1;
	if (left <= 0 && !(l->flags & SF_LISTENER_MANUAL)) {
		if (__sync_val_compare_and_swap(&l->sockets, left, SOCKETS_GONE) == left) {
			tell(s, cookie, SF_SOCKET_RELEASE, 0);
			bpf_map_delete_elem(&listeners, &s->key);
			return 1;
		}
		left = 1; /* another socket has just come to it */
	}
	tell(s, cookie, SF_SOCKET_RELEASE, left < 0 ? 0 : left);
	return 1;
}

/** lives_here() - whether a live listener of this host takes (address, protocol, port). */
static __always_inline bool lives_here(struct sf_listener_key *k)
{
	struct sf_listener *l = bpf_map_lookup_elem(&listeners, k);

	if (l && l->state == SF_LISTENER_LIVE)
		return true;
	k->port = 0;
	k->proto = 0;
	l = bpf_map_lookup_elem(&listeners, k);
	return l && l->state == SF_LISTENER_LIVE;
}

SEC("cgroup/connect6")
int sf_connect(struct bpf_sock_addr *ctx)
{
	struct sf_listener_key k = {};
	struct socket fresh = {}, *s;
	struct sf_hook_host *h;
	char lo[4] = "lo", none[4] = "";
	struct bpf_sock *sk;

	k.host = bpf_get_netns_cookie(ctx);
	h = bpf_map_lookup_elem(&hosts, &k.host);
	sk = ctx->sk;
	if (!h || !sk)
		return 1;
	k.addr = ADDR(ctx->user_ip6);
	k.port = (__be16)ctx->user_port;
	k.proto = (__u8)ctx->protocol;
	s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (s && s->denied) {
		denied(k.host, &s->key.addr, s->denied);
		return 0;
	}
	if (sf_addr_is_service(&h->net, &k.addr) && lives_here(&k)) {
		/* The program's own choice of a device is left alone. */
		if (sk->bound_dev_if)
			return 1;
		if (bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, lo, 3))
			return 1;
		if (!s)
			s = bpf_sk_storage_get(&sockets, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
		if (s)
			s->lo = 1;
	} else if (s && s->lo) {
		/* Connected again, elsewhere. */
		s->lo = 0;
		bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, none, 1);
	}
	return 1;
}

/** source_is_manual() - a service that was registered by hand for the wildcard socket in hand. */
static __always_inline bool source_is_manual(struct bpf_sock *sk, __u64 host,
					     const struct sf_addr *src)
{
	struct sf_listener_key k = { .host = host, .addr = *src, .proto = IPPROTO_UDP };
	struct sf_listener *l;

	k.port = sf_be16((__u16)sk->src_port);
	l = bpf_map_lookup_elem(&listeners, &k);
	return l && (l->flags & SF_LISTENER_MANUAL);
}

/* Datagrams that are addressed one by one. A socket's own address was judged by bind(); another
 * comes by IPV6_PKTINFO, which ip_nonlocal_bind gives to everybody. */
SEC("cgroup/sendmsg6")
int sf_sendmsg(struct bpf_sock_addr *ctx)
{
	struct sf_hook_host *h;
	struct bpf_sock *sk;
	struct sf_addr src;
	struct socket *s;
	__u64 host;
	__u8 reason;

	src.w[0] = WORD(ctx->msg_src_ip6, 0);
	sk = ctx->sk;
	if (!src.w[0] || !sk)
		return 1;
	src = ADDR(ctx->msg_src_ip6);
	s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (s && !s->denied && (sf_addr_eq(&s->key.addr, &src)))
		return 1;
	host = bpf_get_netns_cookie(ctx);
	h = bpf_map_lookup_elem(&hosts, &host);
	if (!h || !sf_addr_is_service(&h->net, &src) || source_is_own(&src))
		return 1;
	reason = s && sf_addr_eq(&s->key.addr, &src) ? s->denied : sender_judge(h, host);
	if (!reason || source_is_manual(sk, host, &src))
		return 1;
	denied(host, &src, reason);
	return 0;
}

/** sf_listener_judge - set a listener's state, leaving its counts alone. Return: 0, or 1 when the
 * key is gone. */
SEC("syscall")
int sf_listener_judge(struct sf_judgement *j)
{
	struct sf_listener_key k = j->key;
	struct sf_listener *l = bpf_map_lookup_elem(&listeners, &k);

	if (!l)
		return 1;
	l->reason = j->reason;
	l->flags |= j->flags;
	l->state = j->state;
	return 0;
}
