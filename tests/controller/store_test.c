// SPDX-License-Identifier: Apache-2.0
/* The store: what survives, migration, damage, backup and restore. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/store.h"
#include "tests/controller/fixture.h"

static char dir[64], file[128], err[512];

static int setup(void **state)
{
	strcpy(dir, "/tmp/controller-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/controller.db", dir);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct store *opened(void)
{
	struct store *s = NULL;

	if (store_open(dir, &s, err, sizeof(err)))
		fail_msg("%s", err);
	return s;
}

static void refused(int error, const char *text)
{
	struct store *s = NULL;

	err[0] = '\0';
	assert_int_equal(store_open(dir, &s, err, sizeof(err)), error);
	assert_null(s);
	if (!strstr(err, text))
		fail_msg("got '%s', expected '%s' in it", err, text);
	assert_non_null(strstr(err, dir)); /* it names the file */
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

struct seen {
	int n;
	char text[256];
	struct sf_sid sid;
	struct store_router router;
	uint64_t id;
};

static int see_text(void *ctx, const struct sf_sid *sid, const char *text)
{
	struct seen *s = ctx;

	s->n++;
	s->sid = *sid;
	snprintf(s->text, sizeof(s->text), "%s", text);
	return 0;
}

static int see_router(void *ctx, const struct store_router *r)
{
	struct seen *s = ctx;

	s->n++;
	s->router = *r;
	return 0;
}

static int see_event(void *ctx, uint64_t id, const char *json)
{
	struct seen *s = ctx;

	if (!s->n++)
		s->id = id;
	snprintf(s->text, sizeof(s->text), "%s", json);
	return 0;
}

static void test_survives(void **state)
{
	struct store_router r = { .id = host_sid(9), .roles = 3, .present = true };
	struct sf_sid web = service_sid(1);
	struct sf_hashkey key, again;
	struct store *s = opened();
	struct seen seen = { 0 };
	struct stat st;
	uint32_t term;

	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_term_next(s, 0, &term), 0);
	assert_int_equal(term, 1);
	assert_int_equal(store_hashkey(s, &key), 0);
	strcpy(r.name, "r1");
	strcpy(r.cn, "r1.example");
	assert_int_equal(store_router_put(s, &r), 0);
	assert_int_equal(store_policy_put(s, &web, "{}"), 0);
	assert_int_equal(store_policy_put(s, &web, "{\"weight\": 1}"), 0);
	assert_int_equal(store_name_put(s, &web, "web"), 0);
	store_close(s);

	s = opened();
	assert_int_equal(store_term_next(s, 0, &term), 0);
	assert_int_equal(term, 2);
	assert_int_equal(store_term_next(s, 9, &term), 0);
	assert_int_equal(term, 9);
	assert_int_equal(store_hashkey(s, &again), 0);
	assert_memory_equal(&key, &again, sizeof(key));
	assert_int_equal(store_policies(s, see_text, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.text, "{\"weight\": 1}");
	assert_true(sf_sid_eq(&seen.sid, &web));
	assert_int_equal(store_policy_delete(s, &web), 0);
	seen.n = 0;
	assert_int_equal(store_policies(s, see_text, &seen), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(store_names(s, see_text, &seen), 0);
	assert_string_equal(seen.text, "web");
	assert_int_equal(store_routers(s, see_router, &seen), 0);
	assert_string_equal(seen.router.cn, "r1.example");
	assert_true(seen.router.present && seen.router.roles == 3);
	store_close(s);
}

static void test_one_at_a_time(void **state)
{
	struct store *s = opened();

	refused(-EBUSY, "another controller");
	assert_int_equal(store_restore(dir, file, err, sizeof(err)), -EBUSY);
	store_close(s);
	store_close(opened());
}

static void test_migration(void **state)
{
	struct store_router r = { .id = host_sid(9) };
	struct seen seen = { 0 };
	struct store *s;
	uint32_t term;

	assert_int_equal(store_make_old(file, 1), 0);
	sql(file, "INSERT INTO names VALUES(x'000000010000000000000001', 'web');"
		  "INSERT INTO meta VALUES('term', x'00000007');");
	s = opened();
	assert_int_equal(store_names(s, see_text, &seen), 0);
	assert_string_equal(seen.text, "web");
	assert_int_equal(store_term_next(s, 0, &term), 0);
	assert_int_equal(term, 8);
	assert_int_equal(store_router_put(s, &r), 0); /* the table of schema 2 */
	store_close(s);
	store_close(opened());
}

static void test_newer_schema(void **state)
{
	store_close(opened());
	sql(file, "PRAGMA user_version=99");
	refused(-EPROTONOSUPPORT, "newer version");
}

static void test_foreign_database(void **state)
{
	sql(file, "CREATE TABLE x(y); PRAGMA user_version=1");
	refused(-EUCLEAN, "no store of scaffold-controller");
}

static void test_no_database(void **state)
{
	FILE *f = fopen(file, "w");

	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fclose(f);
	refused(-EUCLEAN, "--restore");
}

/* Damage in the middle of a table's page is found at the start, not when the row is needed. */
static void test_damaged(void **state)
{
	struct store *s = opened();
	uint8_t junk[3000];
	int fd;

	for (uint64_t i = 0; i < 500; i++) {
		struct sf_sid sid = service_sid(i);

		assert_int_equal(store_name_put(s, &sid, "some-name-that-takes-room"), 0);
	}
	store_close(s);
	memset(junk, 0xa5, sizeof(junk));
	fd = open(file, O_RDWR);
	for (off_t at = 4096; at < lseek(fd, 0, SEEK_END) - 4096; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	refused(-EUCLEAN, "damaged");
}

static void put_events(struct store *s, uint64_t from, uint64_t to, uint32_t keep)
{
	assert_int_equal(store_batch_begin(s), 0);
	for (uint64_t id = from; id <= to; id++)
		assert_int_equal(store_event_put(s, id, 0, "{}"), 0);
	assert_int_equal(store_events_end(s, keep), 0);
}

static void test_events_bounded(void **state)
{
	struct store *s = opened();
	struct seen seen = { 0 };
	uint64_t last;

	put_events(s, 1, 50, 100);
	put_events(s, 1001, 1100, 100); /* a gap, as after a restart */
	assert_int_equal(store_events_last(s, &last), 0);
	assert_int_equal(last, 1100);
	assert_int_equal(store_events_newest(s, 0, INT64_MAX, 1000, see_event, &seen), 0);
	assert_int_equal(seen.n, 100);
	assert_int_equal(seen.id, 1001);
	seen.n = 0;
	assert_int_equal(store_events_newest(s, 1010, 1051, 5, see_event, &seen), 0);
	assert_int_equal(seen.n, 5);
	assert_int_equal(seen.id, 1046);
	store_close(s);
}

static void test_backup_and_restore(void **state)
{
	char backup[128], replaced[160];
	struct sf_sid web = service_sid(1);
	struct store *s = opened();
	struct seen seen = { 0 };
	uint32_t term;

	snprintf(backup, sizeof(backup), "%s/copy.db", dir);
	assert_int_equal(store_term_next(s, 5, &term), 0);
	assert_int_equal(store_name_put(s, &web, "web"), 0);
	assert_int_equal(store_backup(store_path(s), backup, NULL, err, sizeof(err)), 0);
	assert_int_equal(store_backup(store_path(s), backup, NULL, err, sizeof(err)), -EEXIST);
	/* After the backup: a later term, another name. */
	assert_int_equal(store_term_next(s, 40, &term), 0);
	assert_int_equal(store_name_put(s, &web, "other"), 0);
	store_close(s);

	if (store_restore(dir, backup, err, sizeof(err)))
		fail_msg("%s", err);
	snprintf(replaced, sizeof(replaced), "%s.replaced", file);
	assert_int_equal(access(replaced, F_OK), 0);
	s = opened();
	assert_int_equal(store_names(s, see_text, &seen), 0);
	assert_string_equal(seen.text, "web");
	/* Above whatever routers may have seen. */
	assert_int_equal(store_term_next(s, 0, &term), 0);
	assert_int_equal(term, 40 + RESTORE_TERMS + 1);
	store_close(s);
}

static void test_restore_of_damaged(void **state)
{
	char backup[128];
	struct store *s = opened();
	uint32_t term;

	snprintf(backup, sizeof(backup), "%s/copy.db", dir);
	assert_int_equal(store_term_next(s, 5, &term), 0);
	assert_int_equal(store_backup(store_path(s), backup, NULL, err, sizeof(err)), 0);
	store_close(s);
	/* A store that cannot be read is replaced; a backup that cannot be read is not taken. */
	assert_int_equal(truncate(file, 100), 0);
	refused(-EUCLEAN, "--restore");
	assert_int_equal(store_restore(dir, backup, err, sizeof(err)), 0);
	assert_int_equal(truncate(backup, 5000), 0);
	assert_int_equal(store_restore(dir, backup, err, sizeof(err)), -EUCLEAN);
	s = opened();
	assert_int_equal(store_term_next(s, 0, &term), 0);
	assert_int_equal(term, 5 + RESTORE_TERMS + 1);
	store_close(s);
	assert_int_equal(store_restore(dir, "/nonexistent/x.db", err, sizeof(err)), -ENOENT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_survives),
		T(test_one_at_a_time),
		T(test_migration),
		T(test_newer_schema),
		T(test_foreign_database),
		T(test_no_database),
		T(test_damaged),
		T(test_events_bounded),
		T(test_backup_and_restore),
		T(test_restore_of_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
