/* SPDX-License-Identifier: Apache-2.0 */
#include "results/repeats.h"

#include "base/auto.h"
#include "base/stat.h"
#include "results/measurement_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Words beyond so many different ones are not counted; lists of objects up to so many are merged. */
enum { REPEATS_WORDS = 8, REPEATS_LIST = 4, REPEATS_DEPTH = 3 };

static json_t *repeats_json_interval(const struct repeats *repeats)
{
    json_t *o = json_object();
    int bad = 0;

    bad |= json_object_set_new(o, "median", repeats->n ? doc_real(repeats->median) : json_null());
    bad |=
        json_object_set_new(o, "low", repeats->has_interval ? doc_real(repeats->low) : json_null());
    bad |= json_object_set_new(o, "high",
                               repeats->has_interval ? doc_real(repeats->high) : json_null());
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *repeats_json_missing(const struct repeats *repeats)
{
    static const char *const keys[] = {"median", "low", "high", "width_share"};
    json_t *o = json_object();
    int bad = 0;

    for (unsigned i = repeats->n ? 1 : 0; i < sizeof keys / sizeof *keys; i++)
        bad |= json_object_set_new(
            o, keys[i],
            json_string(i == 0 ? "no repetition has a value"
                               : "fewer than 6 values have no 95 % interval of their median"));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *repeats_json_entry(const struct scenario_result *s, uint32_t group)
{
    const struct repeats *repeats = &s->repeats[group - 1];
    const char *name = measured_name[repeats->measured];
    const struct measurement *first = NULL;
    json_t *o = json_object(), *members = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < s->n_measurements; i++) {
        if (s->measurements[i].group != group)
            continue;
        if (!first)
            first = &s->measurements[i];
        bad |= json_array_append_new(members, json_integer(i));
    }
    if (first)
        bad |= measurement_json_what(o, first);
    bad |= json_object_set_new(o, "measurements", members);
    bad |= json_object_set_new(o, "metric", json_string(name));
    bad |= json_object_set_new(o, "n", json_integer(repeats->n));
    bad |= json_object_set_new(o, name, repeats_json_interval(repeats));
    bad |= json_object_set_new(
        o, "width_share", repeats->has_interval ? doc_real(repeats->width_share) : json_null());
    bad |= json_object_set_new(o, "outliers", json_integer(repeats->n_outliers));
    bad |= json_object_set_new(o, "stopped", json_string(repeat_end_name[repeats->end]));
    if (!repeats->has_interval)
        bad |= json_object_set_new(o, "missing", repeats_json_missing(repeats));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *repeats_json(const struct scenario_result *scenario)
{
    json_t *list = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < scenario->n_repeats; i++)
        bad |= json_array_append_new(list, repeats_json_entry(scenario, i + 1));
    if (bad) {
        json_decref(list);
        return NULL;
    }
    return list;
}

bool repeats_has(const json_t *entry, size_t index)
{
    const json_t *members = doc_at(entry, "measurements");

    for (size_t i = 0; i < json_array_size(members); i++)
        if (json_is_integer(json_array_get(members, i)) &&
            json_integer_value(json_array_get(members, i)) == (json_int_t)index)
            return true;
    return false;
}

/* For n values, and never for none. */
static const json_t **typical_room(size_t n) { return calloc(n + 1, sizeof(void *)); }

static json_t *typical_number(const json_t *const *values, size_t n)
{
    AUTO(free_p) double *numbers = calloc(n + 1, sizeof *numbers);
    bool whole = true;
    size_t used = 0;
    double median;

    if (!numbers)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (!doc_number(values[i], "", &numbers[used]))
            continue;
        whole &= json_is_integer(values[i]);
        used++;
    }
    median = stat_median(numbers, used);
    /* Of an even number of counts the middle may lie between two. */
    return whole && fabs(median) < 9e15 ? json_integer((json_int_t)llround(median))
                                        : doc_real(median);
}

/* The most frequent of words, truths and nulls. */
static json_t *typical_word(const json_t *const *values, size_t n)
{
    const json_t *words[REPEATS_WORDS] = {NULL};
    size_t counts[REPEATS_WORDS] = {0}, n_words = 0, best = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < n_words && !json_equal(words[k], values[i]))
            k++;
        if (k == REPEATS_WORDS)
            continue;
        if (k == n_words)
            words[n_words++] = values[i];
        if (++counts[k] > counts[best])
            best = k;
    }
    return json_deep_copy(words[best]);
}

static json_t *typical_object(const json_t *const *parts, size_t n, unsigned depth);

static json_t *typical_list(const json_t *const *values, size_t n, unsigned depth)
{
    AUTO(free_p) const json_t **items = typical_room(n);
    json_t *list = json_array();
    int bad = 0;

    for (size_t k = 0; items && k < json_array_size(values[0]); k++) {
        for (size_t i = 0; i < n; i++)
            items[i] = json_array_get(values[i], k);
        bad |= json_array_append_new(list, typical_object(items, n, depth));
    }
    if (bad || !items) {
        json_decref(list);
        return NULL;
    }
    return list;
}

/* Many values of one key to one; *ret_none: it says nothing of the middle. */
static json_t *typical_value(const json_t *const *values, size_t n, unsigned depth, bool *ret_none)
{
    const json_t *first = values[0];

    *ret_none = false;
    if (json_is_number(first))
        return typical_number(values, n);
    if (json_is_object(first) && depth < REPEATS_DEPTH)
        return typical_object(values, n, depth + 1);
    if (json_array_size(first) && json_array_size(first) <= REPEATS_LIST &&
        json_is_object(json_array_get(first, 0)) && depth < REPEATS_DEPTH)
        return typical_list(values, n, depth + 1);
    *ret_none = json_is_object(first) || json_is_array(first);
    return *ret_none ? NULL : typical_word(values, n);
}

/* A key of one of the parts, as it is in the middle of all that have it. */
static int typical_key(json_t *o, const char *key, const json_t *const *parts, size_t n,
                       unsigned depth)
{
    AUTO(free_p) const json_t **values = typical_room(n);
    json_t *value;
    size_t used = 0;
    bool none;

    if (!values)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const json_t *at = json_object_get(parts[i], key);

        /* What one lacks the others may have. */
        if (used && json_is_null(values[0]) && at && !json_is_null(at))
            used = 0;
        if (at && (used == 0 || json_typeof(at) == json_typeof(values[0]) ||
                   (json_is_number(at) && json_is_number(values[0]))))
            values[used++] = at;
    }
    /* A word that most do not say is not theirs. */
    if (json_is_string(values[0]) && 2 * used <= n)
        return 0;
    value = typical_value(values, used, depth, &none);
    if (none)
        return 0;
    return json_object_set_new(o, key, value);
}

static json_t *typical_object(const json_t *const *parts, size_t n, unsigned depth)
{
    json_t *o = json_object();
    int bad = 0;

    for (size_t i = 0; i < n; i++) {
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)(uintptr_t)parts[i], key, value)
        {
            if (!json_object_get(o, key) && strlen(key) < DOC_KEY_SIZE)
                bad |= typical_key(o, key, parts, n, depth);
        }
    }
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *repeats_typical(const json_t *scenario, const json_t *entry)
{
    const json_t *list = doc_at(scenario, "measurements"), *members = doc_at(entry, "measurements");
    size_t n_members = json_array_size(members), n = 0;
    AUTO(free_p) const json_t **parts = typical_room(n_members);
    json_t *typical;

    if (!parts)
        return NULL;
    for (size_t i = 0; i < n_members; i++) {
        json_int_t index = json_integer_value(json_array_get(members, i));
        const json_t *m = index >= 0 ? json_array_get(list, (size_t)index) : NULL;

        if (json_is_object(m) && !*doc_text(m, "error"))
            parts[n++] = m;
    }
    if (n == 0)
        return NULL;
    typical = typical_object(parts, n, 0);
    json_object_del(typical, "repetition");
    json_object_del(typical, "outlier");
    return typical;
}
