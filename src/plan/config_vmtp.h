/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/config_tree.h"

/*
 * The keys of VMTP's configuration files: what each means here.
 *
 * source  VMTP 2.5, cfg.default.yaml
 */
enum config_vmtp_kind {
    CONFIG_VMTP_OPTION, /* an option of ours has another name for it */
    CONFIG_VMTP_CLOUD,  /* of the openstack driver */
    CONFIG_VMTP_STORE,  /* of a store of results */
    CONFIG_VMTP_DEAD,   /* VMTP never read it, or it did not work */
};

struct config_vmtp_key {
    const char *key;
    enum config_vmtp_kind kind;
    const char *
        form; /* what a value is: text, flag, number, kbps, ipv6_mode, list, addresses, networks, sizes, range, flavor, fluentd */
    const char *option;   /* CONFIG_VMTP_OPTION: ours */
    const char *standard; /* CONFIG_VMTP_DEAD: what VMTP's own file says, which is taken */
    const char *reason;   /* CONFIG_VMTP_DEAD: what to do instead */
};

extern const struct config_vmtp_key config_vmtp_table[]; /* ended by one without a key */

/* NULL: no key of VMTP's. */
const struct config_vmtp_key *config_vmtp_find(const char *key);

/*
 * Check the value, and turn it into the text that our option takes ("" the option's default). ret_text is empty for
 * the other kinds.
 *
 * errors  -EINVAL, with file, line and column
 * owns    the caller frees ret_text
 */
int config_vmtp_take(const struct config_vmtp_key *key, const struct config_tree *tree,
                     const struct config_node *value, char **ret_text, struct err *err);
