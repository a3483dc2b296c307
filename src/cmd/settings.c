/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/settings.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of these only the strongest is heard: a flag --quick beats the time of a file. */
static const char *const settings_rivals[][9] = {
    {"quick", "time"},
    {"sizes", "udpbuf"},
    {"reverse", "bidir"},
    {"tcp", "udp", "icmp", "rr", "udp-rr", "crr", "stamp", "multicast"},
};

const char *settings_key(const struct option_row *row, bool upper, char buf[SETTINGS_KEY_SIZE])
{
    size_t n = 0;

    for (const char *p = row->name; *p && n + 1 < SETTINGS_KEY_SIZE; p++)
        buf[n++] = (char)(*p == '-' ? '_' : upper ? toupper((unsigned char)*p) : *p);
    buf[n] = 0;
    return buf;
}

const struct option_row *settings_row(const struct command *command, const char *key)
{
    char name[SETTINGS_KEY_SIZE];

    for (size_t i = 0; i < options_count(command); i++)
        if (strcmp(settings_key(&command->rows[i], false, name), key) == 0)
            return &command->rows[i];
    return NULL;
}

int settings_set_file(void *target, const char *value, struct err *err)
{
    (void)target;
    return *value ? 0 : err_say(err, "is empty");
}

int settings_init(struct settings *s, const struct command *command, struct err *err)
{
    *s = (struct settings){.command = command,
                           .of = calloc(options_count(command) + 1, sizeof *s->of)};
    return s->of ? 0 : err_set(err, ENOMEM, "memory for settings");
}

static void setting_clear(struct setting *setting)
{
    for (size_t i = 0; i < setting->n_text; i++) {
        explicit_bzero(setting->text[i], strlen(setting->text[i])); /* it may be a password */
        free(setting->text[i]);
    }
    free(setting->text);
    *setting = (struct setting){0};
}

void settings_done(struct settings *s)
{
    for (size_t i = 0; s->of && i < options_count(s->command); i++)
        setting_clear(&s->of[i]);
    free(s->of);
    for (size_t i = 0; i < SETTINGS_FILES; i++)
        config_tree_done(&s->file[i]);
    *s = (struct settings){0};
}

static int setting_add(struct setting *setting, const char *value, struct err *err)
{
    char **more = reallocarray(setting->text, setting->n_text + 1, sizeof *more);

    if (!more)
        return err_set(err, ENOMEM, "memory for settings");
    setting->text = more;
    more[setting->n_text] = strdup(value ? value : "true");
    if (!more[setting->n_text])
        return err_set(err, ENOMEM, "memory for settings");
    setting->n_text++;
    return 0;
}

int settings_flag(struct settings *s, size_t row, const char *value, struct err *err)
{
    s->of[row].from = SETTING_FLAG;
    return setting_add(&s->of[row], value, err);
}

/* Of any command that reads files, since one file serves them all: the nearest key; NULL none is near. */
static const char *settings_nearest_own(const char *key, char near[SETTINGS_KEY_SIZE])
{
    char low[SETTINGS_KEY_SIZE];

    text_copy(low, sizeof low, key);
    for (char *p = low; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    for (const struct command *const *c = command_table; *c; c++) {
        const char *names[SETTINGS_MAX_ROWS], *best;
        char keys[SETTINGS_MAX_ROWS][SETTINGS_KEY_SIZE];
        size_t n = 0;

        if (!settings_row(*c, "config"))
            continue;
        for (; n < options_count(*c) && n < SETTINGS_MAX_ROWS; n++)
            names[n] = settings_key(&(*c)->rows[n], false, keys[n]);
        best = text_nearest(low, names, n);
        if (best) {
            text_copy(near, SETTINGS_KEY_SIZE, best);
            return near;
        }
    }
    return NULL;
}

/* The same; ours come before VMTP's. */
static const char *settings_nearest(const char *key, char near[SETTINGS_KEY_SIZE])
{
    const char *names[SETTINGS_MAX_ROWS];
    size_t n = 0;

    if (settings_nearest_own(key, near))
        return near;
    for (const struct config_vmtp_key *k = config_vmtp_table; k->key && n < SETTINGS_MAX_ROWS; k++)
        names[n++] = k->key;
    return text_nearest(key, names, n);
}

static bool settings_known(const char *key)
{
    for (const struct command *const *c = command_table; *c; c++)
        if (settings_row(*c, "config") && settings_row(*c, key))
            return true;
    return false;
}

/* A value of a file to the texts of a row: one, a comma list, or one after the other. */
static int settings_take(struct setting *setting, const struct option_row *row,
                         const struct config_tree *tree, const struct config_node *value,
                         struct err *err)
{
    bool list = row->arg && strstr(row->arg, "LIST");
    AUTO(free_p) char *joined = NULL;
    int r;

    if (value->kind == CONFIG_SCALAR)
        return setting_add(setting, value->text, err);
    if (value->kind == CONFIG_MAP || (!list && row->type != OPTION_EACH))
        return config_tree_say(tree, value, err, "%s: takes %s, not %s", setting->key,
                               list                        ? "a list"
                               : row->type == OPTION_EACH  ? "a value, or a list of them"
                               : value->kind == CONFIG_MAP ? "a value"
                                                           : "one value",
                               config_node_kind(value));
    r = config_tree_join(tree, setting->key, value, &joined, err);
    if (r == 0 && list)
        return setting_add(setting, joined, err);
    for (size_t i = 0; i < value->n_children && r == 0; i++)
        r = setting_add(setting, value->child[i]->text, err);
    return r;
}

/* Does a stronger one stand there already, of this option or of a rival? */
static bool settings_beaten(const struct settings *s, const struct option_row *row,
                            enum setting_from from)
{
    const struct option_row *rows = s->command->rows;

    if (s->of[row - rows].from > from)
        return true;
    for (size_t g = 0; g < ARRAY_SIZE(settings_rivals); g++) {
        bool member = false, beaten = false;

        for (size_t k = 0; settings_rivals[g][k]; k++) {
            member = member || strcmp(settings_rivals[g][k], row->name) == 0;
            for (size_t i = 0; i < options_count(s->command); i++)
                if (strcmp(rows[i].name, settings_rivals[g][k]) == 0 && s->of[i].from > from)
                    beaten = true;
        }
        if (member && beaten)
            return true;
    }
    return false;
}

static int settings_put(struct settings *s, const struct option_row *row, enum setting_from from,
                        const struct config_tree *tree, const struct config_node *key,
                        const struct config_node *value, const char *text, struct err *err)
{
    struct setting *setting = &s->of[row - s->command->rows];

    if (settings_beaten(s, row, from))
        return 0;
    if (setting->from == from && setting->n_text)
        return config_tree_say(tree, key, err,
                               "%s: it stands in line %u already, by its other name", key->text,
                               setting->line);
    setting_clear(setting);
    if (text ? !*text : config_node_null(value))
        return 0;
    setting->from = from;
    setting->tree = tree;
    setting->key = key->text;
    setting->line = value->line;
    setting->column = value->column;
    if (text)
        return setting_add(setting, text, err);
    return settings_take(setting, row, tree, value, err);
}

static int settings_no_key(const struct config_tree *tree, const struct config_node *key,
                           const char *name, struct err *err)
{
    char buf[SETTINGS_KEY_SIZE];
    const char *near = settings_nearest(name, buf), *vmtp = options_vmtp(name);

    if (vmtp && name[1])
        return config_tree_say(tree, key, err, "there is no key '%.60s': it %s", key->text, vmtp);
    return config_tree_say(tree, key, err, "there is no key '%.60s'%s%s%s", key->text,
                           near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

static int settings_pair(struct settings *s, enum setting_from from, const struct config_tree *tree,
                         const struct config_node *key, const struct config_node *value,
                         struct err *err)
{
    const struct config_vmtp_key *vmtp = NULL;
    const struct option_row *row;
    AUTO(free_p) char *text = NULL;
    char name[SETTINGS_KEY_SIZE];

    if (!text_copy(name, sizeof name, key->text))
        return config_tree_say(tree, key, err, "there is no key '%.60s…'", key->text);
    for (char *p = name; *p; p++)
        *p = (char)(*p == '-' ? '_' : *p);
    if (strcmp(name, "config") == 0)
        return config_tree_say(tree, key, err, "config: a file of settings names no other");
    row = settings_row(s->command, name);
    if (row)
        return settings_put(s, row, from, tree, key, value, NULL, err);
    if (settings_known(name))
        return 0; /* of another command */
    vmtp = config_vmtp_find(name);
    if (!vmtp)
        return settings_no_key(tree, key, name, err);
    if (config_vmtp_take(vmtp, tree, value, &text, err) < 0)
        return -EINVAL;
    if (vmtp->kind == CONFIG_VMTP_OPTION) {
        for (size_t i = 0; text && i < options_count(s->command); i++)
            if (strcmp(s->command->rows[i].name, vmtp->option) == 0)
                return settings_put(s, &s->command->rows[i], from, tree, key, value, text, err);
        return 0;
    }
    if (s->n_kept < SETTINGS_MAX_KEPT && !config_node_null(value) &&
        !(value->kind == CONFIG_SCALAR && !value->text[0]))
        s->kept[s->n_kept++] = (struct setting_kept){vmtp, tree, value};
    return 0;
}

static int settings_file(struct settings *s, enum setting_from from, const char *path,
                         struct err *err)
{
    struct config_tree *tree = &s->file[from == SETTING_FILE];
    int r = config_tree_read(path, tree, err);

    for (size_t i = 0; r == 0 && tree->root && i < tree->root->n_children; i += 2)
        r = settings_pair(s, from, tree, tree->root->child[i], tree->root->child[i + 1], err);
    return r;
}

int settings_user_path(char *ret_path, size_t size, struct err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;

    if (config && config[0] == '/')
        n = snprintf(ret_path, size, "%s/vnperf/config.yaml", config);
    else if (home && home[0] == '/')
        n = snprintf(ret_path, size, "%s/.config/vnperf/config.yaml", home);
    else
        return err_say(err, "neither XDG_CONFIG_HOME nor HOME names a folder for settings");
    if (n < 0 || (size_t)n >= size)
        return err_say(err, "the folder of settings has too long a name");
    return 0;
}

/* The user's own, which need not be there. */
static int settings_user_file(struct settings *s, struct err *err)
{
    char path[1024];

    if (settings_user_path(path, sizeof path, NULL) < 0 ||
        (access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)))
        return 0;
    return settings_file(s, SETTING_USER_FILE, path, err);
}

/* A VNPERF_ variable that nobody reads is a misspelt one when something is called nearly so, and else somebody else's. */
static int settings_unread(const struct command *command, const char *variable, struct err *err)
{
    /* Of vnperf itself, and of its tests and tools. */
    static const char *const others[] = {"BECOME_PASSWORD", "SOURCE", "BUILD", "SANITIZER"};
    size_t len = strcspn(variable, "=");
    char key[SETTINGS_KEY_SIZE], near[SETTINGS_KEY_SIZE], name[SETTINGS_KEY_SIZE] = "";
    const struct config_vmtp_key *vmtp;
    bool upper = true;

    if (strncmp(variable, "VNPERF_", 7) != 0)
        return 0;
    if (len - 7 < sizeof name)
        snprintf(name, sizeof name, "%.*s", (int)(len - 7), variable + 7);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (strcmp(name, others[i]) == 0)
            return 0;
    text_copy(key, sizeof key, name);
    for (char *p = key; *p; p++) {
        upper = upper && !islower((unsigned char)*p);
        *p = (char)tolower((unsigned char)*p);
    }
    if (upper && settings_known(key))
        return 0;
    vmtp = config_vmtp_find(key);
    if (vmtp && vmtp->kind == CONFIG_VMTP_OPTION)
        text_copy(near, sizeof near, vmtp->option);
    else if (!settings_nearest_own(key, near)) {
        log_say(LOG_WARN, "%s: the environment's %.*s is no setting: nobody reads it",
                command->name, (int)len, variable);
        return 0;
    }
    for (char *p = near; *p; p++)
        *p = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
    return err_say(err, "the environment's %.*s is no setting: did you mean VNPERF_%s?", (int)len,
                   variable, near);
}

static int settings_environment(struct settings *s, struct err *err)
{
    for (char **variable = environ; *variable; variable++)
        if (settings_unread(s->command, *variable, err) < 0)
            return -EINVAL;
    for (size_t i = 0; i < options_count(s->command); i++) {
        const struct option_row *row = &s->command->rows[i];
        char name[16 + SETTINGS_KEY_SIZE], key[SETTINGS_KEY_SIZE];
        const char *value;
        int r;

        snprintf(name, sizeof name, "VNPERF_%s", settings_key(row, true, key));
        value = getenv(name);
        /* It may hold a host's password, and is no business of children; the words stay where they are. */
        unsetenv(name);
        if (!value || !*value || settings_beaten(s, row, SETTING_ENVIRONMENT))
            continue;
        setting_clear(&s->of[i]);
        s->of[i].from = SETTING_ENVIRONMENT;
        r = setting_add(&s->of[i], value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int settings_load(struct settings *s, struct err *err)
{
    const struct option_row *row = settings_row(s->command, "config");
    struct setting *named = row ? &s->of[row - s->command->rows] : NULL;
    int r;

    if (!named)
        return 0;
    r = settings_environment(s, err);
    if (r == 0)
        r = settings_user_file(s, err);
    if (r == 0 && named->n_text)
        r = settings_file(s, SETTING_FILE, named->text[named->n_text - 1], err);
    return r;
}

static int settings_flag_value(const char *text, bool *ret_on, struct err *err)
{
    static const char *const words[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};

    for (int on = 0; on < 2; on++)
        for (size_t i = 0; i < 3; i++)
            if (strcasecmp(text, words[on][i]) == 0) {
                *ret_on = on;
                return 0;
            }
    return err_say(err, "'%.40s' is neither true nor false", text);
}

static int setting_apply(const struct setting *setting, const struct option_row *row, void *target,
                         struct err *err)
{
    bool on = true;
    int r = 0;

    if (!row->arg) {
        r = settings_flag_value(setting->text[0], &on, err);
        if (r == 0 && on)
            return options_store(row, target, NULL, err);
        if (r == 0 && row->type != OPTION_CALL)
            *(bool *)(void *)((char *)target + row->offset) = row->type == OPTION_OFF;
        return r;
    }
    for (size_t i = 0; i < setting->n_text && r == 0; i++)
        r = options_store(row, target, setting->text[i], err);
    return r;
}

void settings_where(const struct settings *s, size_t row, char *ret, size_t size)
{
    const struct setting *setting = &s->of[row];
    char key[SETTINGS_KEY_SIZE];

    switch (setting->from) {
    case SETTING_DEFAULT:
        snprintf(ret, size, "default");
        break;
    case SETTING_USER_FILE:
    case SETTING_FILE:
        snprintf(ret, size, "%s:%u:%u", setting->tree->name, setting->line, setting->column);
        break;
    case SETTING_ENVIRONMENT:
        snprintf(ret, size, "VNPERF_%s", settings_key(&s->command->rows[row], true, key));
        break;
    case SETTING_FLAG:
        snprintf(ret, size, "flag");
        break;
    }
}

/* "FILE:L:C: time: …", "VNPERF_TIME: …". */
static int settings_wrong(const struct settings *s, size_t row, struct err *err)
{
    char where[1200];

    settings_where(s, row, where, sizeof where);
    if (s->of[row].tree)
        err_wrap(err, -EINVAL, "%s", s->of[row].key);
    return err_wrap(err, -EINVAL, "%s", where);
}

int settings_apply(const struct settings *s, void *target, struct err *err)
{
    for (size_t i = 0; i < options_count(s->command); i++) {
        const struct setting *setting = &s->of[i];

        if (setting->from == SETTING_FLAG || setting->from == SETTING_DEFAULT)
            continue;
        if (setting_apply(setting, &s->command->rows[i], target, err) < 0)
            return settings_wrong(s, i, err);
    }
    return 0;
}

void settings_blame(const struct settings *s, struct err *err)
{
    size_t len = strcspn(err->text, ": ");

    for (size_t i = 0; s->of && i < options_count(s->command); i++) {
        const char *name = s->command->rows[i].name;
        char rest[sizeof err->text];

        if (strncmp(err->text, "--", 2) != 0 || len != strlen(name) + 2 ||
            strncmp(err->text + 2, name, len - 2) != 0 || s->of[i].from == SETTING_FLAG ||
            s->of[i].from == SETTING_DEFAULT || err->text[len] != ':')
            continue;
        memcpy(rest, err->text, sizeof rest);
        snprintf(err->text, sizeof err->text, "%s", rest + len + 2);
        settings_wrong(s, i, err);
        return;
    }
}

/* "FILE:LINE: KEY and 3 more are for WHAT, which this version has not"; behind what ret has already. */
static void settings_unused_kind(const struct settings *s, enum config_vmtp_kind kind,
                                 const char *what, char *ret, size_t size)
{
    const struct setting_kept *first = NULL;
    size_t n = 0;
    char more[48] = " is";

    for (size_t i = 0; i < s->n_kept; i++)
        if (s->kept[i].key->kind == kind) {
            first = first ? first : &s->kept[i];
            n++;
        }
    if (n > 1)
        snprintf(more, sizeof more, " and %zu more are", n - 1);
    if (n)
        text_add(ret, size, "%s%s:%u: %s%s for %s, which this version has not", ret[0] ? "; " : "",
                 first->tree->name, first->value->line, first->key->key, more, what);
}

void settings_unused(const struct settings *s, char *ret, size_t size)
{
    ret[0] = 0;
    settings_unused_kind(s, CONFIG_VMTP_CLOUD, "the openstack driver", ret, size);
    settings_unused_kind(s, CONFIG_VMTP_STORE, "a store of results", ret, size);
}
