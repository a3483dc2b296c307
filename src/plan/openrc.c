/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/openrc.h"
#include "base/auto.h"
#include "base/text.h"
#include "plan/config_tree.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OPENRC_NAMES = 128, OPENRC_NAME_SIZE = 64, OPENRC_VALUE_SIZE = 1024 };

struct openrc_variable {
    char name[OPENRC_NAME_SIZE], value[OPENRC_VALUE_SIZE];
    unsigned line;
    bool asked; /* what read took from the terminal */
};

struct openrc_parse {
    const char *file;
    unsigned line;
    struct openrc_variable *variable; /* owned */
    size_t n;
    struct err *err;
};

/* The words of the file itself are not repeated in complaints: there may be a secret in them. */
static int openrc_say(const struct openrc_parse *p, const char *sentence)
{
    return err_say(p->err, "%s:%u: %s", p->file, p->line, sentence);
}

static struct openrc_variable *openrc_find(struct openrc_parse *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->variable[i].name, name) == 0)
            return &p->variable[i];
    return NULL;
}

static size_t openrc_word(const char *s)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return isdigit((unsigned char)s[0]) ? 0 : n;
}

static int openrc_put(const struct openrc_parse *p, struct openrc_variable *v, const char *from,
                      size_t len)
{
    size_t used = strlen(v->value);

    if (used + len >= sizeof v->value)
        return openrc_say(p, "a value of more than 1023 bytes");
    memcpy(v->value + used, from, len);
    v->value[used + len] = 0;
    return 0;
}

/* "$NAME" or "${NAME}" at *at: what it was set to before, in this file. */
static int openrc_expand(struct openrc_parse *p, const char **at, struct openrc_variable *v)
{
    const char *s = *at + 1;
    bool brace = *s == '{';
    size_t len = openrc_word(s += brace);
    char name[OPENRC_NAME_SIZE], sentence[OPENRC_NAME_SIZE + 80];
    const struct openrc_variable *other;

    if (*s == '(')
        return openrc_say(p, "a command stands here, and the file is read and not run: write its "
                             "result, or source the file in a shell and leave --rc out");
    if (len == 0 || len >= sizeof name || (brace && s[len] != '}'))
        return openrc_say(p, "only $NAME and ${NAME} are understood behind a $");
    snprintf(name, sizeof name, "%.*s", (int)len, s);
    other = openrc_find(p, name);
    if (!other) {
        snprintf(sentence, sizeof sentence, "$%s is not set before, in this file", name);
        return openrc_say(p, sentence);
    }
    *at = s + len + brace;
    v->asked = v->asked || other->asked;
    return openrc_put(p, v, other->value, strlen(other->value));
}

/* A word of the shell at *at, quotes and all, behind v's value. */
static int openrc_value(struct openrc_parse *p, const char **at, struct openrc_variable *v)
{
    const char *begin = *at, *home = getenv("HOME");
    char quote = 0;
    int r = 0;

    for (const char *s = *at; r == 0; *at = s) {
        if (!*s || *s == '\n') {
            if (quote)
                return openrc_say(p, "a quote is not closed in its line");
            return 0;
        }
        if (!quote && (isblank((unsigned char)*s) || *s == ';' || *s == '\r'))
            return 0;
        if (!quote && *s == '$' && (s[1] == '\'' || s[1] == '"'))
            return openrc_say(p, "$'…' is not understood: write the value in plain quotes");
        if (!quote && s == begin && *s == '~' && (!s[1] || strchr("/ \t\r\n;", s[1])) && home) {
            r = openrc_put(p, v, home, strlen(home));
            s++;
        } else if (*s == quote || (!quote && (*s == '\'' || *s == '"'))) {
            quote = (char)(quote ? 0 : *s);
            s++;
        } else if (*s == '$' && quote != '\'' && (openrc_word(s + 1) || strchr("{(", s[1])) &&
                   s[1]) {
            r = openrc_expand(p, &s, v);
        } else if (*s == '`' && quote != '\'') {
            r = openrc_say(p, "a command stands here, and the file is read and not run");
        } else if (!quote && strchr("&|<>()", *s)) {
            r = openrc_say(p, "this is shell that is not understood: quote the value");
        } else {
            if (*s == '\\' && quote != '\'' && s[1] && s[1] != '\n' &&
                (!quote || strchr("$`\"\\", s[1])))
                s++;
            r = openrc_put(p, v, s++, 1);
        }
    }
    return r;
}

static int openrc_assign(struct openrc_parse *p, const char *name, size_t len, const char **at)
{
    struct openrc_variable v = {.line = p->line}, *old;
    int r;

    if (len >= sizeof v.name)
        return openrc_say(p, "a name of more than 63 letters");
    memcpy(v.name, name, len);
    r = openrc_value(p, at, &v);
    old = openrc_find(p, v.name);
    if (r == 0 && !old && p->n == OPENRC_NAMES)
        r = openrc_say(p, "more than 128 names");
    if (r == 0)
        *(old ? old : &p->variable[p->n++]) = v;
    explicit_bzero(&v, sizeof v);
    return r;
}

static const char *openrc_blank(const char *s)
{
    while (isblank((unsigned char)*s) || *s == '\r' || *s == ';')
        s++;
    return s;
}

static bool openrc_end(const char *s) { return !*s || *s == '\n' || *s == '#'; }

static bool openrc_is(const char *s, const char *word)
{
    size_t n = strlen(word);

    return strncmp(s, word, n) == 0 &&
           (isblank((unsigned char)s[n]) || s[n] == ';' || openrc_end(s + n));
}

/* Behind what is only printed: at one of stops, at a comment, or at the end of the line. */
static const char *openrc_skip(const char *s, const char *stops)
{
    char quote = 0;

    for (; *s && *s != '\n' && (quote || !strchr(stops, *s)); s++)
        if (!quote && *s == '#' && isblank((unsigned char)s[-1]))
            return s;
        else if ((!quote && *s == '>' && s[1] == '&') ||
                 (*s == '\\' && quote != '\'' && s[1] && s[1] != '\n'))
            s++; /* as one */
        else if (*s == quote)
            quote = 0;
        else if (!quote && (*s == '"' || *s == '\''))
            quote = *s;
    return s;
}

/* "read -sr NAME" at *at: what it takes is to be asked for. */
static int openrc_ask(struct openrc_parse *p, const char **at)
{
    const char *empty = "", *s = openrc_blank(*at + 4);
    struct openrc_variable *v;

    for (; *s == '-'; s = openrc_blank(s)) {
        size_t len = strcspn(s, " \t\n");
        bool prompts = s[len - 1] == 'p';

        s += len;
        s = openrc_blank(s);
        if (prompts)
            s = openrc_skip(s, " \t;");
    }
    if (openrc_word(s) == 0)
        return openrc_say(p, "read without a name");
    if (openrc_assign(p, s, openrc_word(s), &empty) < 0)
        return -EINVAL;
    for (v = p->variable; v < p->variable + p->n; v++)
        if (strlen(v->name) == openrc_word(s) && strncmp(v->name, s, strlen(v->name)) == 0)
            v->asked = true;
    s += openrc_word(s);
    *at = s + strspn(s, " \t");
    /* "< /dev/tty": from where does not matter. */
    *at = **at == '<' ? openrc_skip(*at + 1 + strspn(*at + 1, " \t"), " \t;&|") : s;
    return 0;
}

static int openrc_unset(struct openrc_parse *p, const char **at)
{
    const char *s = *at + 5;

    for (s += strspn(s, " \t\r"); !openrc_end(s) && *s != ';'; s += strspn(s, " \t\r")) {
        size_t len = openrc_word(s);

        if (len == 0)
            return openrc_say(p, "unset without a name");
        for (size_t i = 0; i < p->n; i++)
            if (strlen(p->variable[i].name) == len && strncmp(p->variable[i].name, s, len) == 0)
                p->variable[i--] = p->variable[--p->n];
        s += len;
    }
    *at = s;
    return 0;
}

/* Nothing is behind the last of that word in its line. */
static bool openrc_last(const char *line, const char *word)
{
    const char *s = NULL;

    for (const char *next = strstr(line, word); next; next = strstr(next + 1, word))
        s = next + strlen(word);
    return s && openrc_end(openrc_blank(s));
}

/* How these files clean up: an empty name is taken for unset anyway, and nothing was there before. */
static bool openrc_tidies(const char *s)
{
    size_t len = strcspn(s, "\n");
    char line[256];

    if (len >= sizeof line)
        return false;
    snprintf(line, sizeof line, "%.*s", (int)len, s);
    return (strncmp(line, "if [ -z \"$", 10) == 0 && strstr(line, "]; then unset ") &&
            openrc_last(line, "; fi") && !strchr(line, '`') && !strstr(line, "$(")) ||
           (strncmp(line, "for ", 4) == 0 && openrc_last(line, "done") &&
            strstr(line, "set | awk") && strstr(line, "OS_") &&
            (strstr(line, "do unset $") || strstr(line, "do unset \"$")));
}

/* One command at *at; then it is behind it: at its ';', or at the end. */
static int openrc_command(struct openrc_parse *p, const char **at)
{
    const char *s = openrc_blank(*at), *end = s + strcspn(s, "\n");
    bool exported = openrc_is(s, "export");

    *at = end;
    if (openrc_end(s) || openrc_tidies(s))
        return 0;
    if (openrc_is(s, "echo")) {
        *at = openrc_skip(s, ";&|");
        return **at == '&' || **at == '|'
                   ? openrc_say(p, "this is shell that is not understood behind echo")
                   : 0;
    }
    if (openrc_is(s, "read") || openrc_is(s, "unset")) {
        *at = s;
        return *s == 'r' ? openrc_ask(p, at) : openrc_unset(p, at);
    }
    if (exported)
        s = openrc_blank(s + 6);
    while (!openrc_end(s)) {
        size_t len = openrc_word(s);
        const char *value = s + len + 1;

        if (len == 0 || (s[len] != '=' && !exported))
            return openrc_say(p, "this is no NAME=value: the file is read and not run as a shell "
                                 "would");
        if (s[len] == '=' && openrc_assign(p, s, len, &value) < 0)
            return -EINVAL;
        s = s[len] == '=' ? value : s + len;
        while (isblank((unsigned char)*s) || *s == '\r')
            s++;
        if (*s == ';' || (!exported && openrc_is(s, "export"))) {
            *at = s;
            return 0;
        }
    }
    return 0;
}

static int openrc_line(struct openrc_parse *p, const char *s)
{
    int r;

    do
        r = openrc_command(p, &s);
    while (r == 0 && !openrc_end(openrc_blank(s)));
    return r;
}

/* What was set to the fields. */
static int openrc_keep(struct openrc_parse *p, struct cloud_access *access)
{
    for (int f = 0; f < CLOUD_FIELDS; f++) {
        const struct cloud_field_row *row = &cloud_fields[f];
        const struct openrc_variable *v = openrc_find(p, row->variable);

        if ((!v || !v->value[0]) && row->older && !(v && v->asked))
            v = openrc_find(p, row->older);
        if (f == CLOUD_PASSWORD && v && v->asked)
            access->ask_password = true;
        else if (v && cloud_access_set(access, (enum cloud_field)f, v->value, "%s:%u", p->file,
                                       v->line) < 0)
            return err_set(p->err, ENOMEM, "%s", p->file);
    }
    return 0;
}

int openrc_parse(const char *name, const char *bytes, struct cloud_access *ret_access,
                 struct err *err)
{
    struct openrc_parse p = {.file = name, .line = 1, .err = err};
    struct cloud_access access = {0};
    unsigned line = 0, column = 0;
    int r = 0;

    if (!config_tree_text(bytes, strlen(bytes), &line, &column))
        return err_say(err, "%s:%u:%u: this is no text in UTF-8", name, line, column);
    p.variable = calloc(OPENRC_NAMES, sizeof *p.variable);
    if (!p.variable)
        return err_set(err, ENOMEM, "%s", name);
    if (strncmp(bytes, "\xef\xbb\xbf", 3) == 0)
        bytes += 3; /* an editor's mark that this is UTF-8 */
    for (const char *s = bytes; r == 0 && *s; p.line++) {
        r = openrc_line(&p, s);
        s += strcspn(s, "\n");
        s += *s == '\n';
    }
    if (r == 0)
        r = openrc_keep(&p, &access);
    explicit_bzero(p.variable, OPENRC_NAMES * sizeof *p.variable);
    free(p.variable);
    if (r < 0)
        cloud_access_done(&access);
    else
        *ret_access = access;
    return r;
}

int openrc_read(const char *path, struct cloud_access *ret_access, struct err *err)
{
    char *bytes = NULL;
    size_t size = 0;
    int r = config_tree_bytes(path, &bytes, &size, err);

    if (r < 0)
        return r;
    if (size > CONFIG_MAX_BYTES)
        r = err_say(err, "%s: more than %d KiB is no openrc file", path, CONFIG_MAX_BYTES / 1024);
    else if (strlen(bytes) != size)
        r = err_say(err, "%s: this is no text: it has a zero byte", path);
    else
        r = openrc_parse(path, bytes, ret_access, err);
    explicit_bzero(bytes, size);
    free(bytes);
    return r;
}
