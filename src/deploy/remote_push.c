/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/remote_push.h"

#include "base/auto.h"
#include "base/text.h"
#include "deploy/agents.h"

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
 * The end of both scripts, in the shell of sudo too: keep or drop, the program, its words. A program to drop is opened,
 * loses its name, and is run by its descriptor.
 */
static const char remote_script_become[] =
    "w=$1; f=$2; shift 2; echo \"vnperf-push run $f\"; "
    "if [ $w = keep ]; then exec \"$f\" \"$@\"; fi; "
    "exec 9<\"$f\"; "
    "if [ -x /proc/self/fd/9 ]; then rm -f \"$f\"; exec /proc/self/fd/9 \"$@\"; fi; "
    "\"$f\" \"$@\" 9<&-; e=$?; rm -f \"$f\"; exit \"$e\"";

/*
 * Words of both scripts. $b: by sudo; $x: the end, above; $r: a file that goes with us. sudo closes what is open but 0, 1 and 2,
 * so the file keeps its name until sudo's own shell has it. What may be run without a password is tried by running it: a
 * rule may be for the one program that is there.
 */
#define REMOTE_SCRIPT_START                                                                        \
    "drop() { [ -z \"$r\" ] || rm -f \"$r\"; }; gone() { drop; exit 1; }; "                        \
    "start() { "                                                                                   \
    "if [ -z \"$b\" ] || [ \"$(id -u)\" = 0 ]; then eval \"$x\"; fi; "                             \
    "command -v sudo >/dev/null 2>&1 || { echo \"vnperf-push nosudo\"; gone; }; "                  \
    "echo \"vnperf-push sudo $(id -un)\"; "                                                        \
    "if [ $1 = keep ] && sudo -n -- \"$2\" --version >/dev/null 2>&1 </dev/null; then "            \
    "shift; echo \"vnperf-push run $1\"; exec sudo -n -- \"$@\"; fi; "                             \
    "if sudo -n -- sh -c : >/dev/null 2>&1 </dev/null; then sudo -n -- sh -c \"$x\" sh \"$@\"; "   \
    "else l=$(echo; echo x); l=${l%x}; "                                                           \
    "sudo -S -p \"vnperf-push password $(id -un)$l\" -- sh -c \"$x\" sh \"$@\"; fi; "              \
    "e=$?; drop; exit \"$e\"; }; "

/*
 * $1 "MACHINE:SHA-256:SIZE MACHINE:SHA-256:SIZE", $2 a word that nobody else has; then the program's words.
 *
 * One line, without single quotes, backslashes and exclamation marks: what stands in single quotes is then the same to
 * every login shell, csh and fish too. The first echo ends a line that a profile left open. Whether a folder lets
 * programs run is tried with an empty file: execve() fails with ENOEXEC, and the shell reads it to its end; where nothing
 * may run it is EACCES before. `head -c` (or dd, byte by byte, where a small system's head has no -c and reads nothing) and not
 * `cat` takes the bytes, as the program's own stdin follows them. What does not fit on a full disk is swallowed, so that the next
 * folder can be tried. Where none of these programs is, the bytes come by SFTP, and a line says that they are there. Our agent says its own SHA-256, with which it has run, too; what cannot is compared by sha256sum. Each
 * program that is started here costs as much as the rest of a login: so one is for two purposes, or none.
 */
static const char remote_script_push[] =
    "b=$1; x=$2; p=$3; t=$4; shift 4; f=; r=; h=; n=; "
    "m=$(uname -sm); s=${m% *}; m=${m#* }; [ \"$s\" = \"$m\" ] && m=$(uname -m); "
    "echo; echo \"vnperf-push system $s $m\"; "
    "for i in $p; do case $i in \"$m\":*|any:*) i=${i#*:}; h=${i%:*}; n=${i#*:}; break;; esac; "
    "done; "
    "[ \"$h\" ] || exit 1; "
    "k=vnperf-agent-${h%${h#????????????????}}; "
    "same() { s=$(sha256sum <\"$1\" 2>/dev/null); [ \"${s%% *}\" = \"$h\" ]; "
    "}; " REMOTE_SCRIPT_START "own=$XDG_RUNTIME_DIR; cache=${XDG_CACHE_HOME:-$HOME/.cache}; "
    "[ \"$own\" ] || for f in /run/user/*; do [ -O \"$f\" ] && own=$f; done; "
    "a=; if command -v vnperf-agent >/dev/null 2>&1; then a=$(command -v vnperf-agent); fi; "
    "for f in \"${own:+$own/$k}\" \"$cache/$k\" \"$a\"; do "
    "if [ -f \"$f\" ] && [ -x \"$f\" ] && same \"$f\"; then "
    "echo \"vnperf-push have $f\"; start keep \"$f\" \"$@\"; fi; "
    "done; "
    "trap gone HUP INT PIPE TERM; "
    "umask 077; "
    "for d in /dev/shm \"$own\" \"$cache\" /tmp /var/tmp \"$HOME\"; do "
    "[ -d \"$d\" ] || continue; "
    "f=$d/$k.$t; r=$f; "
    "set -C; { true >\"$f\"; } 2>/dev/null; e=$?; set +C; "
    "[ \"$e\" = 0 ] || { echo \"vnperf-push not $d is not writable\"; continue; }; "
    "chmod 700 \"$f\"; "
    "\"$f\" >/dev/null 2>&1 </dev/null || { "
    "drop; echo \"vnperf-push not $d lets no program run\"; continue; }; "
    "if command -v cat >/dev/null 2>&1 && "
    "{ command -v head || command -v dd; } >/dev/null 2>&1; then "
    "echo \"vnperf-push send $f\"; "
    "{ head -c \"$n\" || dd bs=1 count=\"$n\"; } 2>/dev/null | "
    "{ cat >\"$f\" || cat >/dev/null; } 2>/dev/null; "
    "else echo \"vnperf-push sftp $f\"; read -r e || gone; fi; "
    "e=$(\"$f\" --sha256 2>&1 </dev/null); [ \"$e\" = \"$h\" ] || { "
    "if command -v sha256sum >/dev/null 2>&1; then same \"$f\"; "
    "else [ \"$(wc -c <\"$f\")\" -eq \"$n\" ]; fi || { "
    "drop; echo \"vnperf-push not $d has no room for it\"; continue; }; "
    "e=$(\"$f\" --version 2>&1 </dev/null) || { "
    "echo \"vnperf-push bad $e\"; gone; }; }; "
    "start drop \"$f\" \"$@\"; "
    "done; "
    "echo \"vnperf-push none\"; exit 1";

/* The program is there: its words are all that is given. */
static const char remote_script_run[] =
    "b=$1; x=$2; shift 2; r=; " REMOTE_SCRIPT_START
    "echo; command -v \"$1\" >/dev/null 2>&1 || { echo \"vnperf-push missing $1\"; exit 127; }; "
    "start keep \"$@\"";

/* ---- the program ---- */

static uint16_t remote_machine(const uint8_t *bytes, size_t n)
{
    const Elf64_Ehdr *header = (const void *)bytes;

    /* e_machine stands at the same place in both classes; a file of the other byte order is none of ours. */
    return n >= sizeof *header && memcmp(bytes, ELFMAG, SELFMAG) == 0 ? header->e_machine : 0;
}

static int remote_program_read(const char *path, struct remote_program *ret_program,
                               struct err *err)
{
    AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct remote_program p = {0};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "reading the agent %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > REMOTE_PROGRAM_MAX)
        return err_say(err, "the agent %s is no program that can be sent", path);
    p.bytes = p.own = malloc((size_t)st.st_size);
    if (!p.own)
        return err_set(err, ENOMEM, "reading the agent %s", path);
    while (p.size < (size_t)st.st_size) {
        ssize_t n = pread(fd, p.own + p.size, (size_t)st.st_size - p.size, (off_t)p.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = n < 0 ? errno : EIO;

            free(p.own);
            return err_set(err, code, "reading the agent %s", path);
        }
        p.size += (size_t)n;
    }
    p.machine = remote_machine(p.bytes, p.size);
    *ret_program = p;
    return 0;
}

static struct remote_program remote_program_inside(const struct agent_image *image)
{
    struct remote_program p = {
        .bytes = image->bytes, .size = image->size, .machine = image->machine};

    text_copy(p.hash, sizeof p.hash, image->hash);
    return p;
}

int remote_programs_read(const char *path, struct remote_programs *ret_programs, struct err *err)
{
    struct remote_programs programs = {.n = 1};
    struct remote_program *first = programs.list;
    const struct agent_image *image;
    int r = remote_program_read(path, first, err);

    if (r < 0)
        return r;
    image = agents_find(first->machine);
    /* As a rule it is the one inside, whose hash is known: of a hundred hosts none needs a copy of its own. */
    if (image && first->bytes && image->size == first->size &&
        memcmp(image->bytes, first->bytes, image->size) == 0) {
        free(first->own);
        *first = remote_program_inside(image);
    } else {
        sha256_text(first->bytes, first->size, first->hash);
    }
    for (unsigned i = 0;
         first->machine && programs.n < REMOTE_PROGRAMS_MAX && (image = agents_at(i)); i++)
        if (image->machine != first->machine)
            programs.list[programs.n++] = remote_program_inside(image);
    *ret_programs = programs;
    return 0;
}

void remote_programs_done(struct remote_programs *programs)
{
    if (!programs)
        return;
    for (unsigned i = 0; i < programs->n; i++)
        free(programs->list[i].own);
    *programs = (struct remote_programs){0};
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

/* What is asked of the push script; the text is one word. */
static int remote_put_programs(FILE *to, const struct remote_programs *programs)
{
    char text[REMOTE_PROGRAMS_MAX * (SHA256_TEXT_SIZE + 64)] = "", one[32];
    uint64_t random = 0;
    size_t used = 0;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -errno;
    for (unsigned i = 0; i < programs->n; i++) {
        const struct remote_program *p = &programs->list[i];

        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%s:%zu", i ? " " : "",
                                 p->machine ? agents_machine_name(p->machine) : "any", p->hash,
                                 p->size);
    }
    remote_put_word(to, text);
    snprintf(one, sizeof one, "%016llx", (unsigned long long)random);
    remote_put_word(to, one);
    return 0;
}

int remote_push_command(const struct remote_programs *programs, bool become, char *const argv[],
                        char **ret_command, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    int r = 0;

    if (!to)
        return err_set(err, ENOMEM, "memory for a command");
    fputs("exec sh -c", to);
    remote_put_word(to, programs ? remote_script_push : remote_script_run);
    remote_put_word(to, "vnperf-push");
    remote_put_word(to, become ? "sudo" : "");
    remote_put_word(to, remote_script_become);
    if (programs)
        r = remote_put_programs(to, programs);
    if (r < 0)
        err_set(err, r, "random numbers");
    for (char *const *word = argv + (programs != NULL); *word; word++)
        remote_put_word(to, *word);
    if ((ferror(to) | fclose(to)) && r == 0)
        r = err_set(err, ENOMEM, "memory for a command");
    if (r < 0)
        return r;
    *ret_command = TAKE(text);
    return 0;
}

/* ---- what the far side says ---- */

__attribute__((format(printf, 2, 3))) static enum remote_step remote_fail(struct err *err,
                                                                          const char *fmt, ...)
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

/* The processor, as the host calls it, chooses the program. */
static enum remote_step remote_system(struct remote_push *push, const char *system,
                                      const struct remote_programs *programs, struct err *err)
{
    const char *theirs = strchr(system, ' ');
    char ours[128] = "";
    size_t used = 0;

    if (strncmp(system, "Linux ", 6) != 0)
        return remote_fail(err, "the agent runs on Linux, and this host says '%.60s'", system);
    for (unsigned i = 0; programs && i < programs->n && !push->program; i++) {
        const struct remote_program *p = &programs->list[i];
        const char *name = agents_machine_name(p->machine);

        if (p->machine == 0 || strcmp(theirs + 1, name) == 0)
            push->program = p;
        used += (size_t)snprintf(ours + used, sizeof ours - used, "%s%s", i ? " and " : "", name);
    }
    if (programs && !push->program)
        return remote_fail(err,
                           "the host's processor is %.40s, and the agent that is here is for %s "
                           "(--agent names another)",
                           theirs + 1, ours);
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

bool remote_push_is_ours(const char *line)
{
    return strncmp(line, remote_mark, sizeof remote_mark - 1) == 0;
}

enum remote_step remote_push_line(struct remote_push *push, char *line,
                                  const struct remote_programs *programs, struct err *err)
{
    const char *by_sftp = NULL;
    char *rest;

    text_tame(line);
    if (!remote_push_is_ours(line)) {
        if (*line)
            text_copy(push->stray, sizeof push->stray, line);
        return REMOTE_STEP_LISTEN;
    }
    line += sizeof remote_mark - 1;
    push->heard = true;
    if ((rest = remote_after(line, "system")))
        return remote_system(push, rest, programs, err);
    if ((rest = remote_after(line, "not"))) {
        size_t used = strlen(push->refused);

        snprintf(push->refused + used, sizeof push->refused - used, "%s%s", used ? ", " : "", rest);
        return REMOTE_STEP_LISTEN;
    }
    if ((rest = remote_after(line, "send")) || (by_sftp = rest = remote_after(line, "sftp"))) {
        text_copy(push->path, sizeof push->path, rest);
        if (!push->program)
            return remote_fail(err, "it wants the agent and has not said what it is");
        return by_sftp ? REMOTE_STEP_SFTP : REMOTE_STEP_SEND;
    }
    if (remote_after(line, "have"))
        push->reused = true;
    if ((rest = remote_after(line, "run"))) {
        text_copy(push->path, sizeof push->path, rest);
        return REMOTE_STEP_RUN;
    }
    if ((rest = remote_after(line, "sudo")))
        text_copy(push->user, sizeof push->user, rest);
    if (remote_after(line, "password") && push->user[0]) {
        push->n_passwords++;
        return REMOTE_STEP_PASSWORD;
    }
    if (remote_after(line, "nosudo"))
        return remote_fail(err, "there is no sudo there, by which --become starts the agent");
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
