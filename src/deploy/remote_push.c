/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/remote_push.h"

#include "base/auto.h"
#include "base/text.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { REMOTE_PROGRAM_MAX = 64 << 20 };

static const char remote_mark[] = "vnperf-push ";

/*
 * $1 SHA-256, $2 size, $3 the name of a program that stays, $4 a name that nobody else has; then the program's words.
 *
 * One line, without single quotes, backslashes and exclamation marks: what stands in single quotes is then the same to
 * every login shell, csh and fish too. The first echo ends a line that a profile left open. Whether a folder lets
 * programs run is tried with an empty file: execve() fails with ENOEXEC, and the shell reads it to its end; where nothing
 * may run it is EACCES before. `head -c` and not `cat` takes the bytes, as the program's own stdin follows them. What does
 * not fit on a full disk is swallowed, so that the next folder can be tried.
 */
static const char remote_script_push[] =
    "h=$1; n=$2; k=$3; t=$4; shift 4; f=; "
    "echo; echo \"vnperf-push system $(uname -s -m)\"; "
    "same() { s=$(sha256sum <\"$1\" 2>/dev/null); [ \"${s%% *}\" = \"$h\" ]; }; "
    "gone() { rm -f \"$f\"; exit 1; }; "
    "own=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}; cache=${XDG_CACHE_HOME:-$HOME/.cache}; "
    "for f in \"$own/$k\" \"$cache/$k\" \"$(command -v vnperf-agent)\"; do "
    "if [ -f \"$f\" ] && [ -x \"$f\" ] && same \"$f\"; then "
    "echo \"vnperf-push have $f\"; exec \"$f\" \"$@\"; fi; "
    "done; "
    "f=; trap gone HUP INT PIPE TERM; "
    "for d in /dev/shm \"$own\" \"$cache\" /tmp /var/tmp \"$HOME\"; do "
    "[ -d \"$d\" ] || continue; "
    "f=$d/$t; "
    "(umask 077; set -C; : >\"$f\") 2>/dev/null || { "
    "echo \"vnperf-push not $d is not writable\"; continue; }; "
    "chmod 700 \"$f\"; "
    "\"$f\" >/dev/null 2>&1 </dev/null || { "
    "rm -f \"$f\"; echo \"vnperf-push not $d lets no program run\"; continue; }; "
    "echo \"vnperf-push send $f\"; "
    "head -c \"$n\" | { cat >\"$f\" || cat >/dev/null; } 2>/dev/null; "
    "if command -v sha256sum >/dev/null 2>&1; then same \"$f\"; "
    "else [ \"$(wc -c <\"$f\")\" -eq \"$n\" ]; fi || { "
    "rm -f \"$f\"; echo \"vnperf-push not $d has no room for it\"; continue; }; "
    "e=$(\"$f\" --version 2>&1 </dev/null) || { "
    "rm -f \"$f\"; echo \"vnperf-push bad $e\"; exit 1; }; "
    "echo \"vnperf-push run $f\"; "
    "exec 9<\"$f\"; "
    "if [ -x /proc/self/fd/9 ]; then rm -f \"$f\"; exec /proc/self/fd/9 \"$@\"; fi; "
    "\"$f\" \"$@\" 9<&-; e=$?; rm -f \"$f\"; exit \"$e\"; "
    "done; "
    "echo \"vnperf-push none\"; exit 1";

/* The program is there: its words are all that is given. */
static const char remote_script_run[] =
    "echo; command -v \"$1\" >/dev/null 2>&1 || { echo \"vnperf-push missing $1\"; exit 127; }; "
    "echo \"vnperf-push run $1\"; exec \"$@\"";

/* ---- the program ---- */

static uint16_t remote_machine(const uint8_t *bytes, size_t n)
{
    const Elf64_Ehdr *header = (const void *)bytes;

    /* e_machine stands at the same place in both classes; a file of the other byte order is none of ours. */
    return n >= sizeof *header && memcmp(bytes, ELFMAG, SELFMAG) == 0 ? header->e_machine : 0;
}

int remote_program_read(const char *path, struct remote_program *ret_program, struct err *err)
{
    AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct remote_program p = {0};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "reading the agent %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > REMOTE_PROGRAM_MAX)
        return err_say(err, "the agent %s is no program that can be sent", path);
    p.bytes = malloc((size_t)st.st_size);
    if (!p.bytes)
        return err_set(err, ENOMEM, "reading the agent %s", path);
    while (p.size < (size_t)st.st_size) {
        ssize_t n = read(fd, p.bytes + p.size, (size_t)st.st_size - p.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = n < 0 ? errno : EIO;

            free(p.bytes);
            return err_set(err, code, "reading the agent %s", path);
        }
        p.size += (size_t)n;
    }
    sha256_text(p.bytes, p.size, p.hash);
    p.machine = remote_machine(p.bytes, p.size);
    *ret_program = p;
    return 0;
}

void remote_program_done(struct remote_program *program)
{
    if (!program)
        return;
    free(program->bytes);
    *program = (struct remote_program){0};
}

/* ---- the command ---- */

/* One more word in single quotes; to grows. */
static int remote_put_word(FILE *to, const char *word)
{
    fputs(" '", to);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", to);
        else
            fputc(*word, to);
    }
    fputc('\'', to);
    return ferror(to) ? -ENOMEM : 0;
}

int remote_push_command(const struct remote_program *program, char *const argv[],
                        char **ret_command, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    int r = 0;

    if (!to)
        return err_set(err, ENOMEM, "memory for a command");
    fputs("exec sh -c", to);
    remote_put_word(to, program ? remote_script_push : remote_script_run);
    remote_put_word(to, "vnperf-push");
    if (program) {
        uint64_t random = 0;
        char one[64];

        if (getrandom(&random, sizeof random, 0) != sizeof random)
            r = err_set(err, errno, "random numbers");
        remote_put_word(to, program->hash);
        snprintf(one, sizeof one, "%zu", program->size);
        remote_put_word(to, one);
        snprintf(one, sizeof one, "vnperf-agent-%.16s", program->hash);
        remote_put_word(to, one);
        snprintf(one, sizeof one, "vnperf-agent-%.16s.%016llx", program->hash,
                 (unsigned long long)random);
        remote_put_word(to, one);
    }
    for (char *const *word = argv + (program != NULL); *word; word++)
        remote_put_word(to, *word);
    if ((ferror(to) | fclose(to)) && r == 0)
        r = err_set(err, ENOMEM, "memory for a command");
    if (r < 0)
        return r;
    *ret_command = TAKE(text);
    return 0;
}

/* ---- what the far side says ---- */

static const struct {
    uint16_t machine;
    const char *name; /* as `uname -m` says */
} remote_machines[] = {
    {EM_X86_64, "x86_64"}, {EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv64"},
    {EM_PPC64, "ppc64le"}, {EM_S390, "s390x"},
};

static const char *remote_machine_name(uint16_t machine)
{
    for (size_t i = 0; i < ARRAY_SIZE(remote_machines); i++)
        if (remote_machines[i].machine == machine)
            return remote_machines[i].name;
    return "another machine";
}

static enum remote_step remote_fail(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static enum remote_step remote_fail(struct err *err, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        err->code = ENOEXEC;
    }
    return REMOTE_STEP_FAIL;
}

static enum remote_step remote_system(const char *system, uint16_t machine, struct err *err)
{
    const char *name = remote_machine_name(machine), *theirs = strchr(system, ' ');

    if (strncmp(system, "Linux ", 6) != 0)
        return remote_fail(err, "the agent runs on Linux, and this host says '%.60s'", system);
    if (machine && strcmp(theirs + 1, name) != 0)
        return remote_fail(err,
                           "the host's processor is %.40s, and the agent that is here is for %s "
                           "(--agent names another)",
                           theirs + 1, name);
    return REMOTE_STEP_LISTEN;
}

/* What follows a word and a blank, or NULL: it is another word. */
static char *remote_after(char *line, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(line, word, n) != 0 || (line[n] && line[n] != ' '))
        return NULL;
    return line + n + (line[n] == ' ');
}

enum remote_step remote_push_line(struct remote_push *push, char *line, uint16_t machine,
                                  struct err *err)
{
    char *rest;

    text_tame(line);
    if (strncmp(line, remote_mark, sizeof remote_mark - 1) != 0) {
        if (*line)
            text_copy(push->stray, sizeof push->stray, line);
        return REMOTE_STEP_LISTEN;
    }
    line += sizeof remote_mark - 1;
    push->heard = true;
    if ((rest = remote_after(line, "system")))
        return remote_system(rest, machine, err);
    if ((rest = remote_after(line, "not"))) {
        size_t used = strlen(push->refused);

        snprintf(push->refused + used, sizeof push->refused - used, "%s%s", used ? ", " : "", rest);
        return REMOTE_STEP_LISTEN;
    }
    if ((rest = remote_after(line, "send"))) {
        text_copy(push->path, sizeof push->path, rest);
        return REMOTE_STEP_SEND;
    }
    if ((rest = remote_after(line, "have")) || (rest = remote_after(line, "run"))) {
        push->reused = line[0] == 'h';
        text_copy(push->path, sizeof push->path, rest);
        return REMOTE_STEP_RUN;
    }
    if ((rest = remote_after(line, "bad")))
        return remote_fail(err, "the agent does not run there: %.200s", rest);
    if ((rest = remote_after(line, "missing")))
        return remote_fail(err, "there is no program '%.100s' there", rest);
    if (remote_after(line, "none"))
        return remote_fail(err,
                           "no folder there in which the agent can run: %s (--agent-path names one "
                           "that is installed)",
                           push->refused[0] ? push->refused : "not one is there");
    return REMOTE_STEP_LISTEN;
}
