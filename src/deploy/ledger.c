/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ledger.h"

#include "base/auto.h"
#include "base/text.h"
#include "deploy/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { LEDGER_FILE_MAX = 4 << 20 };

static const char ledger_magic[] = "vnperf-ledger/1";

struct ledger {
    int fd;     /* owned */
    char *path; /* owned */
    struct ledger_content content;
};

static bool ledger_word(const char *p, size_t len, size_t size)
{
    if (!len || len >= size || p[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)p[i]) && p[i] != '-' && p[i] != '_' && p[i] != '.')
            return false;
    return true;
}

static bool ledger_text_ok(const char *p, size_t len)
{
    if (!len || len >= LEDGER_TEXT_SIZE || p[0] == ' ' || p[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 127)
            return false;
    return true;
}

static int content_find(const struct ledger_content *c, const char *text, size_t len)
{
    for (size_t i = 0; i < c->n_entries; i++)
        if (strlen(c->entry[i].text) == len && memcmp(c->entry[i].text, text, len) == 0)
            return (int)i;
    return -ENOENT;
}

static int content_add(struct ledger_content *c, const char *kind, size_t kind_len,
                       const char *text, size_t len)
{
    struct ledger_entry *entry = reallocarray(c->entry, c->n_entries + 1, sizeof *entry);

    if (!entry)
        return -ENOMEM;
    c->entry = entry;
    entry += c->n_entries++;
    memset(entry, 0, sizeof *entry);
    memcpy(entry->kind, kind, kind_len);
    memcpy(entry->text, text, len);
    return 0;
}

static void content_remove(struct ledger_content *c, size_t i)
{
    memmove(c->entry + i, c->entry + i + 1, (c->n_entries - i - 1) * sizeof *c->entry);
    c->n_entries--;
}

void ledger_content_done(struct ledger_content *c)
{
    if (!c)
        return;
    free(c->entry);
    c->entry = NULL;
    c->n_entries = 0;
}

bool ledger_is_live(const struct ledger_content *c)
{
    uint64_t start = 0;

    return process_start(c->pid, &start) == 0 && start == c->start;
}

/* ---- reading ---- */

/* "key=value" at *p, value up to the next space or the end; moves *p behind it. */
static const char *field(const char **p, const char *end, const char *key, size_t *ret_len)
{
    size_t len = strlen(key);
    const char *value;

    if ((size_t)(end - *p) <= len + 1 || **p != ' ' || memcmp(*p + 1, key, len) != 0)
        return NULL;
    value = *p + 1 + len;
    for (*p = value; *p < end && **p != ' ';)
        ++*p;
    *ret_len = (size_t)(*p - value);
    return value;
}

static bool field_word(const char **p, const char *end, const char *key, char *ret, size_t size)
{
    size_t len = 0;
    const char *value = field(p, end, key, &len);

    if (!value || !ledger_word(value, len, size))
        return false;
    memcpy(ret, value, len);
    ret[len] = 0;
    return true;
}

static bool field_number(const char **p, const char *end, const char *key, uint64_t max,
                         uint64_t *ret)
{
    size_t len = 0;
    const char *value = field(p, end, key, &len);
    char digits[24];

    if (!value || len >= sizeof digits)
        return false;
    memcpy(digits, value, len);
    digits[len] = 0;
    return text_count(digits, 0, max, ret, NULL) == 0;
}

static bool parse_first(const char *line, const char *end, struct ledger_content *c)
{
    size_t len = strlen(ledger_magic);
    const char *p = line + len;
    uint64_t pid = 0;

    if ((size_t)(end - line) < len || memcmp(line, ledger_magic, len) != 0)
        return false;
    if (!field_word(&p, end, "run=", c->run_id, sizeof c->run_id) ||
        !field_word(&p, end, "driver=", c->driver, sizeof c->driver) ||
        !field_number(&p, end, "pid=", INT_MAX, &pid) || pid < 1 ||
        !field_number(&p, end, "start=", INT64_MAX, &c->start) || p != end)
        return false;
    c->pid = (pid_t)pid;
    return true;
}

/* One line behind the first; NULL when it is good, else what is wrong with it. */
static const char *parse_line(const char *line, const char *end, struct ledger_content *c,
                              int *ret_r)
{
    const char *text = line + 2, *kind = line + 2;
    int i;

    if (end - line < 3 || (line[0] != '+' && line[0] != '-') || line[1] != ' ')
        return "begins neither with '+ ' nor with '- '";
    if (line[0] == '-') {
        i = ledger_text_ok(text, (size_t)(end - text)) ? content_find(c, text, (size_t)(end - text))
                                                       : -EINVAL;
        if (i < 0)
            return "removes what is not there";
        content_remove(c, (size_t)i);
        return NULL;
    }
    text = memchr(kind, ' ', (size_t)(end - kind));
    if (!text || !ledger_word(kind, (size_t)(text - kind), LEDGER_KIND_SIZE))
        return "has no kind";
    text++;
    if (!ledger_text_ok(text, (size_t)(end - text)))
        return "has no text, or one that is no text";
    if (content_find(c, text, (size_t)(end - text)) >= 0)
        return "names what is there already";
    *ret_r = content_add(c, kind, (size_t)(text - 1 - kind), text, (size_t)(end - text));
    return NULL;
}

int ledger_parse(const char *name, const char *text, size_t size,
                 struct ledger_content *ret_content, struct err *err)
{
    struct ledger_content c = {0};
    const char *p = text, *stop = text + size;
    unsigned line = 0;
    int r = 0;

    while (p < stop && r == 0) {
        const char *end = memchr(p, '\n', (size_t)(stop - p));
        const char *bad = NULL;

        line++;
        if (line == 1 && (!end || !parse_first(p, end, &c)))
            break;
        if (!end)
            bad = "was cut off";
        else if (line > 1)
            bad = parse_line(p, end, &c, &r);
        if (bad && c.n_bad++ == 0)
            err_say(err, "%s line %u %s", name, line, bad);
        p = end ? end + 1 : stop;
    }
    if (r == 0 && !c.pid) {
        err_say(err, "%s line 1 is not the first line of a ledger ('%s …')", name, ledger_magic);
        r = -EBADMSG;
    } else if (r < 0) {
        err_set(err, r, "reading %s", name);
    }
    if (r < 0) {
        ledger_content_done(&c);
        return r;
    }
    *ret_content = c;
    return 0;
}

int ledger_read(const char *path, struct ledger_content *ret_content, struct err *err)
{
    AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    AUTO(free_p) char *text = NULL;
    struct stat st;
    ssize_t n;
    size_t used = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "reading ledger %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size > LEDGER_FILE_MAX)
        return err_set(err, EBADMSG, "%s is too large for a ledger, or no file", path);
    text = malloc(LEDGER_FILE_MAX);
    if (!text)
        return err_set(err, ENOMEM, "reading ledger %s", path);
    while ((n = read(fd, text + used, LEDGER_FILE_MAX - used)) > 0)
        used += (size_t)n;
    if (n < 0)
        return err_set(err, errno, "reading ledger %s", path);
    return ledger_parse(path, text, used, ret_content, err);
}

/* ---- writing ---- */

/* One line to the disk, or none of it. */
static int ledger_write(struct ledger *l, const char *line, struct err *err)
{
    size_t size = strlen(line);
    off_t was = lseek(l->fd, 0, SEEK_END);
    ssize_t n = write(l->fd, line, size);
    int r = n < 0 ? -errno : (size_t)n < size ? -ENOSPC : 0;

    if (r == 0 && fdatasync(l->fd) < 0)
        r = -errno;
    if (r == 0)
        return 0;
    /* Half a line would make the next one unreadable too. */
    if (was >= 0 && ftruncate(l->fd, was) < 0)
        return err_set(err, r, "writing ledger %s (and its last line is now cut)", l->path);
    return err_set(err, r, "writing ledger %s", l->path);
}

/* All folders of a path, for us alone: names of machines and addresses are in what is kept here. */
static int ledger_mkdir(const char *dir, struct err *err)
{
    char path[PATH_MAX];

    if (!text_copy(path, sizeof path, dir))
        return err_set(err, ENAMETOOLONG, "folder %s", dir);
    for (char *p = path + 1;; p++) {
        char c = *p;

        if (c != '/' && c != 0)
            continue;
        *p = 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_set(err, errno, "making folder %s", path);
        *p = c;
        if (!c)
            return 0;
    }
}

/* The folder's entry too must be on the disk before something is made. */
static int ledger_sync_dir(const char *dir)
{
    AUTO(close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return -errno;
    return 0;
}

static void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    close_p(&l->fd);
    free(l->path);
    ledger_content_done(&l->content);
    free(l);
}

static void ledger_free_p(struct ledger **l) { ledger_free(*l); }

int ledger_open(const char *dir, const char *run_id, const char *driver, struct ledger **ret_ledger,
                struct err *err)
{
    AUTO(ledger_free_p) struct ledger *l = calloc(1, sizeof *l);
    AUTO(free_p) char *full = NULL;
    char line[256];
    int r;

    if (!l)
        return err_set(err, ENOMEM, "a ledger");
    l->fd = -1;
    if (!ledger_word(run_id, strlen(run_id), LEDGER_ID_SIZE) ||
        !ledger_word(driver, strlen(driver), LEDGER_ID_SIZE))
        return err_say(err, "'%s' of driver '%s' cannot be the name of a run", run_id, driver);
    r = ledger_mkdir(dir, err);
    if (r < 0)
        return err_wrap(err, r, "ledger of run %s", run_id);
    full = realpath(dir, NULL);
    if (!full || asprintf(&l->path, "%s/%s", full, run_id) < 0)
        return err_set(err, errno, "ledger of run %s in %s", run_id, dir);
    text_copy(l->content.run_id, sizeof l->content.run_id, run_id);
    text_copy(l->content.driver, sizeof l->content.driver, driver);
    l->content.pid = getpid();
    r = process_start(l->content.pid, &l->content.start);
    if (r < 0)
        return err_set(err, r, "ledger of run %s: reading /proc/self/stat", run_id);
    l->fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (l->fd < 0)
        return err_set(err, errno, "making ledger %s", l->path);
    snprintf(line, sizeof line, "%s run=%s driver=%s pid=%d start=%llu\n", ledger_magic, run_id,
             driver, (int)l->content.pid, (unsigned long long)l->content.start);
    r = ledger_write(l, line, err);
    if (r == 0 && (r = ledger_sync_dir(full)) < 0)
        err_set(err, r, "writing folder %s", full);
    if (r < 0) {
        unlink(l->path);
        return r;
    }
    *ret_ledger = TAKE(l);
    return 0;
}

const char *ledger_path(const struct ledger *l) { return l->path; }

size_t ledger_count(const struct ledger *l) { return l->content.n_entries; }

int ledger_add(struct ledger *l, const char *kind, const char *text, struct err *err)
{
    char line[LEDGER_KIND_SIZE + LEDGER_TEXT_SIZE + 8];
    int r;

    if (!ledger_word(kind, strlen(kind), LEDGER_KIND_SIZE) || !ledger_text_ok(text, strlen(text)))
        return err_say(err, "ledger %s: '%s %s' is not a line for it", l->path, kind, text);
    if (content_find(&l->content, text, strlen(text)) >= 0)
        return err_set(err, EEXIST, "ledger %s: '%s' is in it already", l->path, text);
    snprintf(line, sizeof line, "+ %s %s\n", kind, text);
    r = ledger_write(l, line, err);
    if (r < 0)
        return r;
    r = content_add(&l->content, kind, strlen(kind), text, strlen(text));
    if (r < 0)
        return err_set(err, r, "ledger %s", l->path);
    return 0;
}

int ledger_remove(struct ledger *l, const char *text, struct err *err)
{
    char line[LEDGER_TEXT_SIZE + 8];
    int i = content_find(&l->content, text, strlen(text));

    if (i < 0)
        return err_set(err, ENOENT, "ledger %s: '%s'", l->path, text);
    /* It is gone in any case; a disk that does not take the line must not make us believe that it is there. */
    content_remove(&l->content, (size_t)i);
    snprintf(line, sizeof line, "- %s\n", text);
    return ledger_write(l, line, err);
}

int ledger_close(struct ledger *l, struct err *err)
{
    int r = 0;

    if (!l)
        return 0;
    if (l->content.n_entries)
        r = (int)l->content.n_entries;
    else if (unlink(l->path) < 0 && errno != ENOENT)
        r = err_set(err, errno, "removing ledger %s", l->path);
    ledger_free(l);
    return r;
}

/* ---- all of them ---- */

static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void ledger_row_read(const char *dir, const char *name, struct ledger_row *row)
{
    struct ledger_content c = {0};
    struct err err = {0};
    char path[PATH_MAX];

    text_copy(row->run_id, sizeof row->run_id, name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!ledger_word(name, strlen(name), LEDGER_ID_SIZE))
        err_say(&err, "%s does not have the name of a run", path);
    else if (ledger_read(path, &c, &err) == 0) {
        text_copy(row->driver, sizeof row->driver, c.driver);
        row->pid = c.pid;
        row->start = c.start;
        row->live = ledger_is_live(&c);
        row->n_entries = c.n_entries;
        if (strcmp(c.run_id, name) != 0)
            err_say(&err, "%s is the ledger of run %s", path, c.run_id);
    }
    text_copy(row->complaint, sizeof row->complaint, err.text);
    ledger_content_done(&c);
}

int ledger_list(const char *dir, struct ledger_row **ret_rows, struct err *err)
{
    struct dirent **names = NULL;
    struct ledger_row *rows;
    int n = scandir(dir, &names, not_hidden, alphasort);

    if (n < 0 && errno != ENOENT)
        return err_set(err, errno, "reading folder %s", dir);
    if (n < 0)
        n = 0;
    rows = calloc((size_t)n + 1, sizeof *rows);
    for (int i = 0; i < n; i++) {
        if (rows)
            ledger_row_read(dir, names[i]->d_name, rows + i);
        free(names[i]);
    }
    free(names);
    if (!rows)
        return err_set(err, ENOMEM, "reading folder %s", dir);
    *ret_rows = rows;
    return n;
}

int ledger_delete(const char *dir, const char *run_id, struct err *err)
{
    char path[PATH_MAX];

    if (!ledger_word(run_id, strlen(run_id), LEDGER_ID_SIZE))
        return err_say(err, "'%s' is not the name of a run", run_id);
    snprintf(path, sizeof path, "%s/%s", dir, run_id);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, errno, "removing ledger %s", path);
    return 0;
}
