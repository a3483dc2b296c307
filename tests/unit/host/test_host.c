/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

static void test_the_kernel_is_the_one_that_runs(void **state)
{
    struct facts facts = {0};
    char cc[FACT_VALUE_SIZE];
    struct utsname u;

    (void)state;
    assert_int_equal(uname(&u), 0);
    kernel_facts(&facts);
    assert_string_equal(facts_get(&facts, "kernel"), u.release);
    assert_string_equal(facts_get(&facts, "architecture"), u.machine);
    assert_int_equal(
        host_read_line("/proc/sys/net/ipv4/tcp_congestion_control", cc, (int)sizeof cc), 0);
    assert_string_equal(facts_get(&facts, "congestion_control"), cc);
    /* What is in force is one of what there is. */
    assert_non_null(strstr(facts_get(&facts, "congestion_controls"), cc));
    assert_null(strchr(facts_get(&facts, "tcp_rmem"), '\t'));
}

static void *count_cpus(void *arg)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        cpu_facts(arg);
    return NULL;
}

static void test_only_cpus_that_may_be_used_are_counted(void **state)
{
    struct facts all = {0}, one = {0};
    pthread_t thread;
    char number[24];
    cpu_set_t set;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    snprintf(number, sizeof number, "%d", CPU_COUNT(&set));
    cpu_facts(&all);
    assert_string_equal(facts_get(&all, "cpus"), number);
    /* A thread of its own, which takes its narrow choice of CPUs with it. */
    assert_int_equal(pthread_create(&thread, NULL, count_cpus, &one), 0);
    pthread_join(thread, NULL);
    assert_string_equal(facts_get(&one, "cpus"), "1");
}

static void test_memory_is_what_sysconf_says_or_nearly(void **state)
{
    struct facts facts = {0};
    unsigned long long bytes, pages = (unsigned long long)sysconf(_SC_PHYS_PAGES);

    (void)state;
    cpu_facts(&facts);
    bytes = strtoull(facts_get(&facts, "memory_bytes"), NULL, 10);
    pages *= (unsigned long long)sysconf(_SC_PAGESIZE);
    assert_in_range(bytes, pages / 10 * 9, pages / 10 * 11);
}

static void test_the_nic_is_an_interface_of_this_namespace(void **state)
{
    struct facts facts = {0};
    const char *name;
    char path[64], mtu[16];

    (void)state;
    nic_facts(&facts);
    name = facts_get(&facts, "nic");
    if (!name) {
        /* Without a link that is up there is nothing to tell, and nothing told. */
        assert_int_equal(facts.n_facts, 0);
        skip();
    }
    assert_int_not_equal(if_nametoindex(name), 0);
    assert_string_not_equal(name, "lo");
    snprintf(path, sizeof path, "/sys/class/net/%s/mtu", name);
    if (host_read_line(path, mtu, (int)sizeof mtu) == 0)
        assert_string_equal(facts_get(&facts, "mtu_bytes"), mtu);
}

static void *facts_without_links(void *arg)
{
    struct facts *facts = arg;

    if (unshare(CLONE_NEWNET) < 0)
        return (void *)(uintptr_t)errno;
    nic_facts(facts);
    return NULL;
}

static void test_a_namespace_without_links_has_no_nic(void **state)
{
    struct facts facts = {0};
    pthread_t thread;
    void *error = NULL;

    (void)state;
    /* The thread's namespace ends with it. */
    assert_int_equal(pthread_create(&thread, NULL, facts_without_links, &facts), 0);
    pthread_join(thread, &error);
    if (error) {
        print_message("a namespace may not be made here: %s\n", strerror((int)(uintptr_t)error));
        skip();
    }
    assert_int_equal(facts.n_facts, 0);
}

static void *facts_with_a_link(void *arg)
{
    static const char commands[] =
        "link add vnt0 type veth peer name vnt1\nlink set lo up\n"
        "link set vnt0 mtu 1400 up\nlink set vnt1 up\n"
        "addr add 192.0.2.7/25 dev vnt0\naddr add 192.0.2.8/32 dev vnt1\n"
        "addr add 2001:db8::7/64 dev vnt0 nodad\n";
    struct facts *facts = arg;
    FILE *ip;

    if (unshare(CLONE_NEWNET) < 0)
        return "a namespace may not be made here";
    ip = popen("PATH=$PATH:/usr/sbin:/sbin exec ip -batch -", "we");
    if (!ip || fputs(commands, ip) < 0 || pclose(ip) != 0)
        return "a veth may not be made here";
    host_facts(facts);
    return NULL;
}

static void test_a_link_is_told_with_its_addresses_but_not_loopback_or_link_local(void **state)
{
    struct facts facts = {0};
    pthread_t thread;
    void *why = NULL;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, facts_with_a_link, &facts), 0);
    pthread_join(thread, &why);
    if (why) {
        print_message("%s\n", (const char *)why);
        skip();
    }
    assert_string_equal(facts_get(&facts, "addresses_v6"), "2001:db8::7/64");
    assert_non_null(strstr(facts_get(&facts, "addresses"), "192.0.2.7/25"));
    assert_non_null(strstr(facts_get(&facts, "addresses"), "192.0.2.8/32"));
    assert_null(strstr(facts_get(&facts, "addresses"), "127."));
    assert_string_equal(facts_get(&facts, "nic_driver"), "veth");
    /* What a veth says about its speed is no fact. */
    assert_null(facts_get(&facts, "nic_speed_bps"));
    assert_int_equal(strncmp(facts_get(&facts, "nic"), "vnt", 3), 0);
}

static void test_all_facts_fit_and_have_units_where_they_are_numbers(void **state)
{
    struct facts facts = {0};

    (void)state;
    host_facts(&facts);
    assert_in_range(facts.n_facts, 8, FACTS_MAX - 8);
    assert_false(facts.cut);
    assert_in_range(facts.used, 100, FACTS_POOL - 2 * FACT_VALUE_SIZE);
    for (unsigned i = 0; i < facts.n_facts; i++) {
        const struct fact_row *row = facts_row(facts_key(&facts, i));

        assert_non_null(row);
        if (facts_state(&facts, i) != FACT_IS_MISSING)
            assert_int_equal(facts_state(&facts, i) == FACT_IS_NUMBER, row->type == FACT_COUNT);
        assert_true(facts_value(&facts, i)[0]);
        assert_null(strchr(facts_value(&facts, i), '\n'));
    }
}

static void test_the_first_line_of_a_file_is_read_without_its_end(void **state)
{
    static const struct {
        const char *content, *line;
        int r;
    } rows[] = {
        {"one\ntwo\n", "one", 0},
        {"no end", "no end", 0},
        {"4096\t87380\t6291456\n", "4096 87380 6291456", 0},
        {"\n", "", 0},
        {"", "", -ENODATA},
        {"far too long for it", "far too lo", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char path[] = "/tmp/vnperf-test-host-XXXXXX", line[64] = "";
        int size = strcmp(rows[i].line, "far too lo") == 0 ? 11 : (int)sizeof line;
        int fd = mkostemp(path, O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].content, strlen(rows[i].content)),
                         strlen(rows[i].content));
        close(fd);
        assert_int_equal(host_read_line(path, line, size), rows[i].r);
        assert_string_equal(line, rows[i].line);
        unlink(path);
    }
    char line[8];
    assert_int_equal(host_read_line("/nonexistent/file", line, sizeof line), -ENOENT);
}

static void step_tells(const struct host_ask *ask, struct facts *facts)
{
    (void)ask;
    facts_put_number(facts, facts->n_facts ? "second" : "first", 1);
}

static void step_hangs(const struct host_ask *ask, struct facts *facts)
{
    (void)ask;
    facts_put(facts, "half", "told, and then nothing more");
    for (;;)
        pause();
}

static void step_dies(const struct host_ask *ask, struct facts *facts)
{
    (void)ask;
    (void)facts;
    raise(SIGKILL);
}

static void test_a_question_that_hangs_or_kills_costs_that_fact_alone(void **state)
{
    static const struct host_step steps[] = {
        {step_tells, "first", 20000}, {step_hangs, "hung", 50},      {step_dies, "dead", 20000},
        {NULL, "tcp_rmem", 20000},    {step_tells, "second", 20000},
    };
    const struct host_ask ask = {0};
    struct facts facts = {0};
    char rmem[FACT_VALUE_SIZE];

    (void)state;
    assert_int_equal(host_read_line("/proc/sys/net/ipv4/tcp_rmem", rmem, (int)sizeof rmem), 0);
    host_gather(steps, ARRAY_SIZE(steps), &ask, 60000, &facts);
    assert_string_equal(facts_get(&facts, "first"), "1");
    assert_string_equal(facts_get(&facts, "second"), "1");
    assert_string_equal(facts_get(&facts, "tcp_rmem"), rmem);
    assert_null(facts_get(&facts, "half"));
    assert_null(facts_get(&facts, "hung"));
    assert_null(facts_get(&facts, "dead"));
    assert_int_equal(facts.n_facts, 5);
    assert_int_equal(facts_state(&facts, 1), FACT_IS_MISSING);
    assert_string_equal(facts_key(&facts, 1), "hung");
    assert_string_equal(facts_key(&facts, 2), "dead");
}

static void test_when_time_is_over_the_rest_is_missing(void **state)
{
    static const struct host_step steps[] = {
        {step_hangs, "hung", 60000}, {step_tells, "first", 60000}, {step_tells, "x", 60000}};
    const struct host_ask ask = {0};
    struct facts facts = {0};

    (void)state;
    host_gather(steps, ARRAY_SIZE(steps), &ask, 50, &facts);
    assert_int_equal(facts.n_facts, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(facts_state(&facts, i), FACT_IS_MISSING);
}

static void test_the_nic_of_an_address_is_the_one_that_has_it_or_leads_there(void **state)
{
    const struct host_ask own = {.address = "127.0.0.1"}, mapped = {.address = "::ffff:127.0.0.1"},
                          bad = {.address = "no address"};
    struct facts a = {0}, b = {0}, c = {0}, none = {0};

    (void)state;
    nic_step_choose(&own, &a);
    assert_string_equal(facts_get(&a, "nic"), "lo");
    assert_string_equal(facts_get(&a, "nic_chosen"), "own address");
    nic_step_choose(&mapped, &b);
    assert_string_equal(facts_get(&b, "nic"), "lo");
    nic_step_choose(&bad, &c);
    nic_step_choose(NULL, &none);
    assert_int_equal(c.n_facts, none.n_facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_kernel_is_the_one_that_runs),
        cmocka_unit_test(test_only_cpus_that_may_be_used_are_counted),
        cmocka_unit_test(test_memory_is_what_sysconf_says_or_nearly),
        cmocka_unit_test(test_the_nic_is_an_interface_of_this_namespace),
        cmocka_unit_test(test_a_namespace_without_links_has_no_nic),
        cmocka_unit_test(test_a_link_is_told_with_its_addresses_but_not_loopback_or_link_local),
        cmocka_unit_test(test_all_facts_fit_and_have_units_where_they_are_numbers),
        cmocka_unit_test(test_the_first_line_of_a_file_is_read_without_its_end),
        cmocka_unit_test(test_a_question_that_hangs_or_kills_costs_that_fact_alone),
        cmocka_unit_test(test_when_time_is_over_the_rest_is_missing),
        cmocka_unit_test(test_the_nic_of_an_address_is_the_one_that_has_it_or_leads_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
