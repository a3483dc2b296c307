/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/place_flags.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "deploy/vmtp_login.h"

#include <errno.h>
#include <string.h>

enum place_key { KEY_NAME, KEY_ADDR, KEY_IF, KEY_NODE, KEY_NET, KEY_FLOATING, KEY_COUNT };
static const char *const place_keys[KEY_COUNT] = {"name", "addr", "if", "node", "net", "floating"};
static const size_t place_sizes[KEY_COUNT] = {48, 64, 16, 32, 32, 46};

/* Which key stands in front of a '=', or KEY_COUNT. */
static enum place_key place_key(const char *label)
{
    for (int k = 0; k < KEY_COUNT; k++) {
        size_t n = strlen(place_keys[k]);

        if (strncmp(label, place_keys[k], n) == 0 && label[n] == '=')
            return (enum place_key)k;
    }
    return KEY_COUNT;
}

struct place_labels {
    const char *value[KEY_COUNT]; /* lent; NULL not there */
    size_t len[KEY_COUNT];
};

/* Where WORD ends: labels are taken off from behind. */
static int place_cut(char *word, struct place_labels *ret, char **ret_end, struct err *err)
{
    char *end = word + strlen(word);

    for (;;) {
        char *comma = memrchr(word, ',', (size_t)(end - word));
        enum place_key k = comma ? place_key(comma + 1) : KEY_COUNT;

        if (k == KEY_COUNT)
            break;
        if (ret->value[k])
            return err_say(err, "%s= comes twice", place_keys[k]);
        ret->value[k] = strchr(comma, '=') + 1;
        ret->len[k] = (size_t)(end - ret->value[k]);
        if (ret->len[k] == 0 || ret->len[k] >= place_sizes[k])
            return err_say(err, "%s= is empty or longer than %zu letters", place_keys[k],
                           place_sizes[k] - 1);
        end = comma;
    }
    *ret_end = end;
    return 0;
}

static void place_value(const struct place_labels *labels, enum place_key k, char *ret, size_t size)
{
    if (labels->value[k])
        snprintf(ret, size, "%.*s", (int)labels->len[k], labels->value[k]);
}

/* A label that is none. What stands there may be a password, so only a key without a ':' before it is shown. */
static int place_check_rest(const char *word, struct err *err)
{
    const char *comma = strrchr(word, ','), *is = comma ? strchr(comma, '=') : NULL;

    if (!is || strncmp(word, "exec:", 5) == 0 || memchr(word, ':', (size_t)(comma - word)))
        return 0;
    return err_say(err, "'%.*s=' is none of name=, addr=, if=, and of --vm node=, net=, floating=",
                   (int)(is - comma - 1), comma + 1);
}

static bool place_is_endpoint(const char *word)
{
    return strcmp(word, "local") == 0 || strstr(word, "://") || strncmp(word, "exec:", 5) == 0 ||
           strncmp(word, "netns:", 6) == 0;
}

int place_flags_word(char *word, struct resource_there *ret_there, struct err *err)
{
    struct vmtp_login login;
    int r;

    if (!*word)
        return err_say(err, "is empty");
    r = place_check_rest(word, err);
    if (r < 0)
        return r;
    if (place_is_endpoint(word)) {
        r = text_endpoint(word, &ret_there->at, err);
        if (r == 0 && text_endpoint_foreign(&ret_there->at))
            r = err_say(err, "'%.80s': no agent of ours runs at another program's server", word);
        return r;
    }
    r = vmtp_login_parse(word, &login, err);
    if (r < 0)
        return r;
    vmtp_login_endpoint(&login, &ret_there->at);
    if (login.password)
        log_say(LOG_WARN, "%s", vmtp_login_warning);
    ret_there->password = TAKE(login.password);
    return 0;
}

static int place_check(enum place_role role, const struct place_labels *labels,
                       struct resource_there *there, struct err *err)
{
    for (int k = KEY_NODE; k <= KEY_FLOATING && role != PLACE_VM; k++)
        if (labels->value[k])
            return err_say(err, "%s= is a label of --vm", place_keys[k]);
    place_value(labels, KEY_ADDR, there->at.address, sizeof there->at.address);
    place_value(labels, KEY_IF, there->at.ifname, sizeof there->at.ifname);
    place_value(labels, KEY_FLOATING, there->floating, sizeof there->floating);
    if (there->at.address[0] && text_address(there->at.address, err) < 0)
        return err_wrap(err, -EINVAL, "addr=");
    if (there->floating[0] &&
        (text_address(there->floating, err) < 0 || strchr(there->floating, ':')))
        return err_say(err, "floating=%s is no IPv4 address", there->floating);
    return 0;
}

int place_flags_add(struct places *places, enum place_role role, char *word, struct err *err)
{
    char name[48] = "", node[32] = "", network[32] = "";
    struct resource_there there = {0};
    struct place_labels labels = {0};
    char *end = NULL, kept;
    int r = place_cut(word, &labels, &end, err);

    if (r < 0 || !end)
        return r;
    kept = *end;
    *end = 0;
    r = place_flags_word(word, &there, err);
    *end = kept;
    if (r == 0)
        r = place_check(role, &labels, &there, err);
    place_value(&labels, KEY_NAME, name, sizeof name);
    place_value(&labels, KEY_NODE, node, sizeof node);
    place_value(&labels, KEY_NET, network, sizeof network);
    if (r == 0)
        r = places_add(places, role, name, node, network, &there, err);
    if (r < 0)
        places_wipe(&there);
    return r;
}
