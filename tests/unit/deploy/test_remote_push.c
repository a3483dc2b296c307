/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command that puts an agent on a host, run by this machine's own shell in the place of a far one, and what its lines
 * mean.
 */
#include "deploy/remote_push.h"

#include "base/clock.h"
#include "deploy/agents.h"
#include "deploy/driver.h"
#include "deploy/spawn.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_hashes_are_those_of_the_standard(void **state)
{
    static const struct {
        const char *text, *hash;
    } rows[] = {
        /* FIPS 180-4's examples, and the empty text. */
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hash[SHA256_TEXT_SIZE], *million = malloc(1000000);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sha256_text(rows[i].text, strlen(rows[i].text), hash);
        assert_string_equal(hash, rows[i].hash);
    }
    assert_non_null(million);
    memset(million, 'a', 1000000);
    sha256_text(million, 1000000, hash);
    assert_string_equal(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static enum remote_step say(struct remote_push *push, const char *text, uint16_t machine,
                            struct err *err)
{
    static struct remote_programs programs;
    char line[512];

    programs = (struct remote_programs){.list = {{.machine = machine}}, .n = 1};

    snprintf(line, sizeof line, "%s", text);
    *err = (struct err){0};
    return remote_push_line(push, line, &programs, err);
}

static void test_lines_of_a_profile_are_passed_over(void **state)
{
    struct remote_push push = {0};
    struct err err;

    (void)state;
    assert_int_equal(say(&push, "welcome", EM_X86_64, &err), REMOTE_STEP_LISTEN);
    assert_int_equal(say(&push, "vnperf-pushed", EM_X86_64, &err), REMOTE_STEP_LISTEN);
    assert_int_equal(say(&push, " vnperf-push run /x", EM_X86_64, &err), REMOTE_STEP_LISTEN);
    assert_false(push.heard);
    assert_string_equal(push.stray, " vnperf-push run /x");
}

static void test_a_push_goes_from_folder_to_folder(void **state)
{
    struct remote_push push = {0};
    struct err err;

    (void)state;
    assert_int_equal(say(&push, "vnperf-push system Linux x86_64", EM_X86_64, &err),
                     REMOTE_STEP_LISTEN);
    assert_int_equal(say(&push, "vnperf-push not /dev/shm lets no program run", EM_X86_64, &err),
                     REMOTE_STEP_LISTEN);
    assert_int_equal(say(&push, "vnperf-push send /tmp/x", EM_X86_64, &err), REMOTE_STEP_SEND);
    assert_int_equal(push.program->machine, EM_X86_64);
    assert_int_equal(say(&push, "vnperf-push not /tmp has no room for it", EM_X86_64, &err),
                     REMOTE_STEP_LISTEN);
    assert_int_equal(say(&push, "vnperf-push send /var/tmp/x", EM_X86_64, &err), REMOTE_STEP_SEND);
    assert_int_equal(say(&push, "vnperf-push run /var/tmp/x", EM_X86_64, &err), REMOTE_STEP_RUN);
    assert_string_equal(push.path, "/var/tmp/x");
    assert_false(push.reused);
    assert_string_equal(push.refused, "/dev/shm lets no program run, /tmp has no room for it");
    assert_int_equal(say(&push, "vnperf-push none", EM_X86_64, &err), REMOTE_STEP_FAIL);
    assert_non_null(strstr(err.text, "/dev/shm lets no program run, /tmp has no room for it"));
    assert_int_equal(err.code, ENOEXEC);
}

static void test_what_cannot_run_there_is_a_sentence(void **state)
{
    static const struct {
        const char *line, *words;
        uint16_t machine;
    } rows[] = {
        {"vnperf-push system Linux aarch64", "processor is aarch64, and the agent", EM_X86_64},
        {"vnperf-push system FreeBSD amd64", "says 'FreeBSD amd64'", EM_X86_64},
        {"vnperf-push system ", "runs on Linux", 0},
        {"vnperf-push bad sh: 1: not found", "does not run there: sh: 1: not found", 0},
        {"vnperf-push missing nuttcp", "no program 'nuttcp'", 0},
        {"vnperf-push none", "not one is there", 0},
        {"vnperf-push nosudo", "no sudo there", 0},
        {"vnperf-push send /tmp/x", "has not said what it is", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct remote_push push = {0};
        struct err err;

        assert_int_equal(say(&push, rows[i].line, rows[i].machine, &err), REMOTE_STEP_FAIL);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: %s", rows[i].line, err.text);
    }
}

static void test_the_processor_of_the_host_chooses_the_program(void **state)
{
    struct remote_programs programs = {.list = {{.machine = EM_X86_64}, {.machine = EM_AARCH64}},
                                       .n = 2};
    struct remote_push push = {0};
    struct err err = {0};
    char arm[] = "vnperf-push system Linux aarch64", risc[] = "vnperf-push system Linux riscv64";

    (void)state;
    assert_int_equal(remote_push_line(&push, arm, &programs, &err), REMOTE_STEP_LISTEN);
    assert_ptr_equal(push.program, &programs.list[1]);
    push = (struct remote_push){0};
    assert_int_equal(remote_push_line(&push, risc, &programs, &err), REMOTE_STEP_FAIL);
    assert_non_null(strstr(
        err.text, "processor is riscv64, and the agent that is here is for x86_64 and aarch64"));
}

static void test_sudo_asks_only_when_it_was_begun(void **state)
{
    struct remote_push push = {0};
    struct err err;

    (void)state;
    assert_int_equal(say(&push, "vnperf-push password bob", 0, &err), REMOTE_STEP_LISTEN);
    assert_int_equal(push.n_passwords, 0);
    assert_int_equal(say(&push, "vnperf-push sudo bob", 0, &err), REMOTE_STEP_LISTEN);
    assert_int_equal(say(&push, "vnperf-push password bob", 0, &err), REMOTE_STEP_PASSWORD);
    assert_int_equal(say(&push, "vnperf-push password bob", 0, &err), REMOTE_STEP_PASSWORD);
    assert_int_equal(push.n_passwords, 2);
    assert_string_equal(push.user, "bob");
}

static void test_agents_inside_are_programs_of_their_machines(void **state)
{
    const struct agent_image *image;

    (void)state;
    for (unsigned i = 0; (image = agents_at(i)); i++) {
        const Elf64_Ehdr *header = (const void *)image->bytes;
        char hash[SHA256_TEXT_SIZE];

        assert_memory_equal(image->bytes, ELFMAG, SELFMAG);
        assert_int_equal(header->e_machine, image->machine);
        assert_int_equal(header->e_type, ET_EXEC);
        assert_string_equal(agents_machine_name(image->machine), image->name);
        assert_ptr_equal(agents_find(image->machine), image);
        sha256_text(image->bytes, image->size, hash);
        assert_string_equal(hash, image->hash);
        /* The mark: what is copied to every host. */
        assert_in_range(image->size, 10000, 400 * 1024);
    }
    assert_null(agents_find(EM_VAX));
}

static void test_the_agent_inside_is_a_file_that_runs(void **state)
{
    char path[64], output[256], *argv[] = {path, (char *)"--version", NULL};
    struct spawn_request q = {.argv = argv};
    struct err err = {0};

    (void)state;
    if (agents_file(path, sizeof path, &err) == -ENOENT)
        skip();
    assert_int_equal(
        spawn_run(&q, "", output, sizeof output, clock_mono_ns() + 30 * (uint64_t)CLOCK_S, &err),
        0);
    assert_string_equal(output, "vnperf-agent " VNPERF_VERSION "\n");
}

/* ---- the script ---- */

struct place {
    char dir[64], agent[96];
    struct remote_programs programs;
};

/* A program of this test: it says that it ran, with which words, and what comes on its stdin. */
static void place_init(struct place *p)
{
    struct err err = {0};
    FILE *f;

    *p = (struct place){.dir = "/tmp/vnperf-test-push-XXXXXX"};
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->agent, sizeof p->agent, "%s/agent", p->dir);
    f = fopen(p->agent, "w");
    assert_non_null(f);
    fputs("#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho \"ran $*\"\ncat\n", f);
    fclose(f);
    if (remote_programs_read(p->agent, &p->programs, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(p->programs.list[0].machine, 0);
}

static void place_done(struct place *p)
{
    remote_programs_done(&p->programs);
    unlink(p->agent);
    rmdir(p->dir);
}

/* The command with the program's bytes, and text behind them, on its stdin. */
static int run_command(const struct remote_programs *programs, char *const words[],
                       const char *text, char *output, size_t size)
{
    char *command = NULL, *input;
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", NULL, NULL};
    struct spawn_request q = {.argv = argv};
    const struct remote_program *program = programs ? programs->list : NULL;
    struct err err = {0};
    int r;

    if (remote_push_command(programs, false, words, &command, &err) < 0)
        fail_msg("%s", err.text);
    assert_null(strchr(command, '\n'));
    input = calloc(1, (program ? program->size : 0) + strlen(text) + 1);
    assert_non_null(input);
    if (program)
        memcpy(input, program->bytes, program->size);
    memcpy(input + (program ? program->size : 0), text, strlen(text) + 1);
    argv[2] = command;
    r = spawn_run(&q, input, output, size, clock_mono_ns() + 30 * (uint64_t)CLOCK_S, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    free(input);
    free(command);
    return r;
}

static void test_the_script_is_the_same_to_every_shell(void **state)
{
    char *words[] = {(char *)"agent", (char *)"it's", NULL}, *command = NULL;
    struct remote_programs programs = {
        .list = {{.size = 1, .machine = EM_X86_64, .hash = "0123456789abcdef"},
                 {.size = 22, .machine = EM_AARCH64, .hash = "fedcba9876543210"}},
        .n = 2};
    const char *script, *end;

    (void)state;
    assert_int_equal(remote_push_command(&programs, true, words, &command, NULL), 0);
    assert_int_equal(strncmp(command, "exec sh -c '", 12), 0);
    script = command + 12;
    end = strchr(script, '\'');
    assert_non_null(end);
    for (const char *p = script; p < end; p++)
        assert_null(strchr("\\!\n", *p));
    /* And so is what sudo's shell is given. */
    script = strstr(end, " 'vnperf-push' 'sudo' '");
    assert_non_null(script);
    script += strlen(" 'vnperf-push' 'sudo' '");
    end = strchr(script, '\'');
    for (const char *p = script; p < end; p++)
        assert_null(strchr("\\!\n", *p));
    assert_memory_equal(end, "' 'x86_64:0123456789abcdef:1 aarch64:fedcba9876543210:22' '", 59);
    assert_string_equal(end + strlen(end) - 10, " 'it'\\''s'");
    free(command);
}

static void test_a_program_is_put_there_run_and_gone(void **state)
{
    char *words[] = {(char *)"agent", (char *)"--nice", (char *)"a b'c\"", NULL};
    char output[4096], *ran;
    struct place p;
    char *path, *end;
    struct stat st;

    (void)state;
    place_init(&p);
    assert_int_equal(run_command(&p.programs, words, "hello\n", output, sizeof output), 0);
    ran = strstr(output, "\nvnperf-push run ");
    if (!ran || !strstr(ran, "\nran --nice a b'c\"\nhello\n")) {
        fail_msg("%s", output);
        return;
    }
    path = ran + strlen("\nvnperf-push run ");
    end = strchr(path, '\n');
    assert_non_null(end);
    if (end)
        *end = 0;
    assert_non_null(strstr(path, "/vnperf-agent-"));
    assert_int_equal(stat(path, &st), -1);
    place_done(&p);
}

static void test_bytes_that_are_cut_short_leave_nothing(void **state)
{
    char *words[] = {(char *)"agent", NULL}, output[4096];
    struct remote_programs longer;
    struct place p;

    (void)state;
    place_init(&p);
    longer = p.programs;
    longer.list[0].hash[0] = longer.list[0].hash[0] == '0' ? '1' : '0';
    assert_int_equal(run_command(&longer, words, "", output, sizeof output), 1);
    assert_non_null(strstr(output, "has no room for it\n"));
    assert_non_null(strstr(output, "vnperf-push none\n"));
    assert_null(strstr(output, "ran"));
    place_done(&p);
}

static void test_a_program_that_is_there_is_run_and_one_that_is_not_is_said(void **state)
{
    char *there[] = {(char *)"echo", (char *)"here", NULL},
         *missing[] = {(char *)"vnperf-no-such", NULL};
    char output[4096];

    (void)state;
    assert_int_equal(run_command(NULL, there, "", output, sizeof output), 0);
    assert_string_equal(output, "\nvnperf-push run echo\nhere\n");
    assert_int_equal(run_command(NULL, missing, "", output, sizeof output), 127);
    assert_string_equal(output, "\nvnperf-push missing vnperf-no-such\n");
}

/* Last: it changes the mounts that this process sees. */
static void test_folders_where_nothing_runs_are_passed_over(void **state)
{
    static const char *const noexec[] = {"/dev/shm", "/tmp"};
    char *words[] = {(char *)"agent", NULL}, output[4096];
    struct place p;

    (void)state;
    place_init(&p);
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    setenv("XDG_CACHE_HOME", "/nonexistent", 1);
    if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
        place_done(&p);
        skip();
    }
    for (size_t i = 0; i < sizeof noexec / sizeof *noexec; i++)
        assert_int_equal(mount("none", noexec[i], "tmpfs", MS_NOEXEC, NULL), 0);
    assert_int_equal(mount("none", "/var/tmp", "tmpfs", 0, NULL), 0);
    assert_int_equal(run_command(&p.programs, words, "", output, sizeof output), 0);
    if (!strstr(output, "vnperf-push not /dev/shm lets no program run\n"
                        "vnperf-push not /tmp lets no program run\n"
                        "vnperf-push send /var/tmp/vnperf-agent-"))
        fail_msg("%s", output);
    for (size_t i = 0; i < sizeof noexec / sizeof *noexec; i++)
        umount(noexec[i]);
    umount("/var/tmp");
    place_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes_are_those_of_the_standard),
        cmocka_unit_test(test_lines_of_a_profile_are_passed_over),
        cmocka_unit_test(test_a_push_goes_from_folder_to_folder),
        cmocka_unit_test(test_what_cannot_run_there_is_a_sentence),
        cmocka_unit_test(test_the_processor_of_the_host_chooses_the_program),
        cmocka_unit_test(test_sudo_asks_only_when_it_was_begun),
        cmocka_unit_test(test_agents_inside_are_programs_of_their_machines),
        cmocka_unit_test(test_the_agent_inside_is_a_file_that_runs),
        cmocka_unit_test(test_the_script_is_the_same_to_every_shell),
        cmocka_unit_test(test_a_program_is_put_there_run_and_gone),
        cmocka_unit_test(test_bytes_that_are_cut_short_leave_nothing),
        cmocka_unit_test(test_a_program_that_is_there_is_run_and_one_that_is_not_is_said),
        cmocka_unit_test(test_folders_where_nothing_runs_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
