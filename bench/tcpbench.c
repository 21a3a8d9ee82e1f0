// SPDX-License-Identifier: Apache-2.0
/*
 * tcpbench - connections per second and ping-pong latency of TCP over IPv6, and very many at once.
 *
 *   tcpbench serve ADDR PORT [PORTS]              echo on PORT .. PORT+PORTS-1 until killed
 *   tcpbench connections ADDR PORT PORTS SECONDS  connect, one small request, close; how many a
 *                                                 second
 *   tcpbench pingpong ADDR PORT SECONDS           one byte there and back; the median in ns
 *   tcpbench hold ADDR PORT PORTS COUNT           opens COUNT connections, prints their number, and
 *                                                 keeps them until standard input ends
 *   tcpbench ask ADDR PORT PORTS COUNT            the same; for each line on standard input a byte
 *                                                 goes there and back on all; prints how many did,
 *                                                 when the one in the middle and the last, in ns
 *
 * The same binary measures native addresses and service addresses, so that the ratio is about the
 * path alone. Several ports keep the client from running out of ports in TIME_WAIT.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST	  64
#define THREADS	  8
#define SAMPLES	  4000000
#define PORTS_MAX 64
#define HOLD_EACH 10000

static struct sockaddr_in6 target;
static int ports = 1;
static double seconds;

static void die(const char *what)
{
	fprintf(stderr, "tcpbench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void set_nodelay(int fd)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		die("TCP_NODELAY");
}

static int listen_at(int offset)
{
	struct sockaddr_in6 at = target;
	int one = 1;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

	at.sin6_port = htons(ntohs(target.sin6_port) + offset);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4096))
		die("listen");
	return fd;
}

static void echo_once(int ep, int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || write(fd, buf, n) != n) {
		epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
		close(fd);
	}
}

static _Noreturn void serve(void)
{
	struct epoll_event ev = { .events = EPOLLIN }, evs[256];
	int ep = epoll_create1(0);

	for (int i = 0; i < ports; i++) {
		ev.data.u64 = 1ull << 32 | (unsigned int)listen_at(i);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, (int)(ev.data.u64 & 0xffffffff), &ev))
			die("epoll_ctl");
	}
	for (;;) {
		int n = epoll_wait(ep, evs, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(evs[i].data.u64 & 0xffffffff);

			if (!(evs[i].data.u64 >> 32)) {
				echo_once(ep, fd);
				continue;
			}
			for (int c; (c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
				set_nodelay(c);
				ev.data.u64 = (unsigned int)c;
				epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
			}
		}
	}
}

static int connect_to(int offset)
{
	struct sockaddr_in6 at = target;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	at.sin6_port = htons(ntohs(target.sin6_port) + offset);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		die("connect");
	return fd;
}

static void *connections_thread(void *arg)
{
	char buf[REQUEST] = { 0 };
	double end = now() + seconds;
	long *count = arg;

	for (unsigned int i = 0; now() < end; i++) {
		int fd = connect_to((int)(i % (unsigned int)ports));

		if (write(fd, buf, REQUEST) != REQUEST ||
		    recv(fd, buf, REQUEST, MSG_WAITALL) != REQUEST)
			die("request");
		close(fd);
		(*count)++;
	}
	return NULL;
}

static int connections(void)
{
	long counts[THREADS][16] = { 0 }; /* a cache line and more for each */
	pthread_t threads[THREADS];
	double start = now();
	long sum = 0;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, connections_thread, counts[i]))
			die("pthread_create");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += counts[i][0];
	}
	printf("%.1f\n", sum / (now() - start));
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int pingpong(void)
{
	double *samples = malloc(SAMPLES * sizeof(*samples));
	double end = now() + seconds;
	int fd = connect_to(0);
	size_t n = 0;
	char c = 0;

	if (!samples)
		die("malloc");
	set_nodelay(fd);
	while (n < SAMPLES) {
		double t = now();

		if (t > end)
			break;
		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			die("pingpong");
		samples[n++] = now() - t;
	}
	qsort(samples, n, sizeof(*samples), by_value);
	printf("%.0f\n", samples[n / 2] * 1e9);
	free(samples);
	return 0;
}

static void files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("limit of open files");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* In processes of HOLD_EACH, as the number of open files of one is limited. */
static int hold(int count)
{
	int done[2];
	char c = 0;

	if (pipe(done))
		die("pipe");
	for (int from = 0; from < count; from += HOLD_EACH) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = from; i < count && i < from + HOLD_EACH; i++)
			connect_to(i % ports);
		if (write(done[1], &c, 1) != 1)
			die("pipe");
		for (;;)
			pause();
	}
	for (int from = 0; from < count; from += HOLD_EACH)
		if (read(done[0], &c, 1) != 1)
			die("pipe");
	printf("%d\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

#define ANSWER_SECONDS 60

/* A byte on each connection, and back: how many were answered, and when the one in the middle and
 * the last, by CLOCK_MONOTONIC in ns. */
static void all_ask(int ep, const int *fds, int count)
{
	double *times = calloc((size_t)count, sizeof(*times));
	double end = now() + ANSWER_SECONDS;
	struct epoll_event evs[256];
	int answered = 0;
	char c = 0;

	if (!times)
		die("memory");
	for (int i = 0; i < count; i++)
		if (write(fds[i], &c, 1) != 1)
			die("write");
	while (answered < count && now() < end) {
		int n = epoll_wait(ep, evs, 256, 1000);

		for (int i = 0; i < n; i++)
			if (read(evs[i].data.fd, &c, 1) != 1)
				epoll_ctl(ep, EPOLL_CTL_DEL, evs[i].data.fd, NULL);
			else
				times[answered++] = now();
	}
	printf("%d %.0f %.0f\n", answered, answered ? times[answered / 2] * 1e9 : 0,
	       answered ? times[answered - 1] * 1e9 : 0);
	fflush(stdout);
	free(times);
}

/* Connections that stay; each line on standard input asks on all of them. */
static int ask(int count)
{
	int *fds = calloc((size_t)count, sizeof(*fds)), ep = epoll_create1(0);
	char c;

	if (!fds || ep < 0)
		die("memory");
	for (int i = 0; i < count; i++) {
		struct epoll_event ev = { .events = EPOLLIN };

		fds[i] = ev.data.fd = connect_to(i % ports);
		set_nodelay(fds[i]);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev))
			die("epoll_ctl");
	}
	printf("%d\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) == 1)
		if (c == '\n')
			all_ask(ep, fds, count);
	free(fds);
	return 0;
}

int main(int argc, char **argv)
{
	target.sin6_family = AF_INET6;
	if (argc < 4 || inet_pton(AF_INET6, argv[2], &target.sin6_addr) != 1)
		goto usage;
	target.sin6_port = htons((unsigned short)atoi(argv[3]));
	if (!strcmp(argv[1], "serve")) {
		ports = argc > 4 ? atoi(argv[4]) : 1;
		if (ports < 1 || ports > PORTS_MAX)
			goto usage;
		files_raise();
		serve();
	}
	if (!strcmp(argv[1], "hold") && argc == 6) {
		ports = atoi(argv[4]);
		files_raise();
		return hold(atoi(argv[5]));
	}
	if (!strcmp(argv[1], "ask") && argc == 6) {
		ports = atoi(argv[4]);
		files_raise();
		return ask(atoi(argv[5]));
	}
	if (!strcmp(argv[1], "connections") && argc == 6) {
		ports = atoi(argv[4]);
		seconds = atof(argv[5]);
		return connections();
	}
	if (!strcmp(argv[1], "pingpong") && argc == 5) {
		seconds = atof(argv[4]);
		return pingpong();
	}
usage:
	fprintf(stderr,
		"usage: tcpbench serve ADDR PORT [PORTS] | connections ADDR PORT PORTS SECONDS"
		" | pingpong ADDR PORT SECONDS | hold|ask ADDR PORT PORTS COUNT\n");
	return 2;
}
