// SPDX-License-Identifier: Apache-2.0
/* Thousands of flows that move at once: what it costs, how many are under way. */
#include "movers.h"

#define FLOWS 10000

static void test_many(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];
	struct sf_addr to = place(0x10002);
	size_t open;

	flows_make(FLOWS);
	a->up = 0x10002;
	for (size_t i = 0; i < FLOWS; i++)
		assert_int_equal(mover_start(&a->mover, KEY0 + i, &to, MOVER_ORDERED), 0);
	mover_flush(&a->mover);
	assert_int_equal(a->keeps, (FLOWS + MOVER_BATCH - 1) / MOVER_BATCH);
	assert_int_equal(mover_size(&a->mover, &open), FLOWS);
	assert_int_equal(open, FLOWS);
	world.loss = 20;
	pass(300 * MS);
	world.loss = 0;
	pass(10000 * MS);
	for (size_t i = 0; i < FLOWS; i++)
		assert_together(i);
	mover_size(&a->mover, &open);
	assert_int_equal(open, 0);
	assert_int_equal(mover_due(&a->mover), 0);
	assert_int_equal(mover_due(&b->mover), 0);
	assert_int_equal(a->kicks, 4 * FLOWS);
	for (size_t i = 0; i < FLOWS; i++)
		a->flows[i].state = SF_FLOW_FREE;
	for (uint64_t at = 0; (at = mover_sweep(&a->mover, at, 999));)
		;
	assert_int_equal(mover_size(&a->mover, NULL), 0);
	for (size_t i = 0; i < FLOWS; i++)
		assert_false(a->has[i]);
}

/* Flows of @from and later, as many as may begin now. Return: the next one. */
static size_t begin(struct host *h, size_t from, size_t end)
{
	struct sf_addr to = place(h->up);

	while (from < end && mover_room(&h->mover))
		assert_int_equal(mover_start(&h->mover, KEY0 + from++, &to, MOVER_ORDERED), 0);
	mover_flush(&h->mover);
	return from;
}

/* As many begin as are answered, and more; what is lost makes them fewer. */
static void test_window(void **state)
{
	struct host *a = &world.h[0];
	size_t first, second, third, at;

	flows_make(FLOWS);
	a->up = 0x10002;
	first = begin(a, 0, FLOWS);
	assert_true(first > 100 && first < 1000);
	assert_int_equal(mover_room(&a->mover), 0);
	pass(2 * DELAY);
	second = begin(a, first, FLOWS);
	assert_int_equal(second - first, 2 * first);
	world.loss = 50;
	pass(2 * DELAY);
	world.loss = 0;
	pass(200 * MS);
	third = begin(a, second, FLOWS);
	assert_true(third > second && third - second < second - first);
	for (at = third; at < FLOWS; at = begin(a, at, FLOWS))
		pass(2 * DELAY);
	pass(10000 * MS);
	for (size_t i = 0; i < FLOWS; i++)
		assert_together(i);
}

/* Peers that are dead do not hold up the others for longer than an answer takes. */
static void test_dead_hold_nobody_up(void **state)
{
	struct host *a = &world.h[0];
	size_t at;

	flows_make(1000);
	a->up = 0x10002;
	world.loss = 100;
	at = begin(a, 0, 1000);
	assert_int_equal(mover_room(&a->mover), 0);
	pass(100 * MS);
	assert_true(mover_room(&a->mover) > 0);
	world.loss = 0;
	for (int i = 0; at < 1000; i++) {
		assert_true(i < 20);
		at = begin(a, at, 1000);
		pass(2 * DELAY);
	}
	pass(10000 * MS);
	for (size_t i = 0; i < 1000; i++)
		assert_together(i);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_many),
		TEST(test_window),
		TEST(test_dead_hold_nobody_up),
	};
#undef TEST

	return cmocka_run_group_tests_name("agent_many_moves", tests, NULL, NULL);
}
