/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/config_vmtp.h"
#include "base/auto.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CLOUD(key, form)                                                                           \
    {                                                                                              \
        key, CONFIG_VMTP_CLOUD, form, NULL, NULL, NULL                                             \
    }
#define STORE(key, form)                                                                           \
    {                                                                                              \
        key, CONFIG_VMTP_STORE, form, NULL, NULL, NULL                                             \
    }

const struct config_vmtp_key config_vmtp_table[] = {
    {"tcp_tp_loop_count", CONFIG_VMTP_OPTION, "number", "repeat", NULL, NULL},
    {"tcp_pkt_sizes", CONFIG_VMTP_OPTION, "sizes", "tcpbuf", NULL, NULL},
    {"udp_pkt_sizes", CONFIG_VMTP_OPTION, "sizes", "udpbuf", NULL, NULL},
    {"icmp_pkt_sizes", CONFIG_VMTP_OPTION, "sizes", "icmp-sizes", NULL, NULL},
    {"udp_loss_rate_range", CONFIG_VMTP_OPTION, "range", "loss", NULL, NULL},
    {"vm_bandwidth", CONFIG_VMTP_OPTION, "kbps", "bandwidth", NULL, NULL},
    CLOUD("image_name", "text"),
    CLOUD("ssh_vm_username", "text"),
    CLOUD("flavor_type", "text"),
    CLOUD("flavor", "flavor"),
    CLOUD("availability_zone", "text"),
    CLOUD("dns_nameservers", "addresses"),
    CLOUD("vm_image_url", "text"),
    CLOUD("reuse_network_name", "text"),
    CLOUD("floating_ip", "flag"),
    CLOUD("config_drive", "flag"),
    CLOUD("user_data_file", "text"),
    CLOUD("ipv6_mode", "ipv6_mode"),
    CLOUD("router_name", "text"),
    CLOUD("internal_network_name", "list"),
    CLOUD("internal_subnet_name", "list"),
    CLOUD("internal_subnet_name_v6", "list"),
    CLOUD("internal_cidr", "networks"),
    CLOUD("internal_cidr_v6", "networks"),
    CLOUD("public_key_file", "text"),
    CLOUD("private_key_file", "text"),
    CLOUD("public_key_name", "text"),
    CLOUD("vm_name_server", "text"),
    CLOUD("vm_name_client", "text"),
    CLOUD("security_group_name", "text"),
    CLOUD("ssh_retry_count", "number"),
    CLOUD("generic_retry_count", "number"),
    CLOUD("os_dataplane_network", "text"),
    CLOUD("ext_net_name", "text"),
    STORE("vmtp_mongod_port", "number"),
    STORE("vmtp_db", "text"),
    STORE("vmtp_collection", "text"),
    STORE("fluentd", "fluentd"),
    {"reuse_existing_vm", CONFIG_VMTP_DEAD, "text", NULL, "",
     "it never worked in VMTP; vnperf test ssh://HOST ssh://HOST measures VMs that are there"},
    {"vm_server_internal_ip", CONFIG_VMTP_DEAD, "text", NULL, "",
     "it was for reuse_existing_vm, which never worked in VMTP"},
    {"vm_server_external_ip", CONFIG_VMTP_DEAD, "text", NULL, "",
     "it was for reuse_existing_vm, which never worked in VMTP"},
    {"vm_client_internal_ip", CONFIG_VMTP_DEAD, "text", NULL, "",
     "it was for reuse_existing_vm, which never worked in VMTP"},
    {"vm_client_external_ip", CONFIG_VMTP_DEAD, "text", NULL, "",
     "it was for reuse_existing_vm, which never worked in VMTP"},
    {"ping_count", CONFIG_VMTP_DEAD, "number", NULL, "2",
     "VMTP never read it; echo requests are sent for as long as 'time' says"},
    {"ping_pass_threshold", CONFIG_VMTP_DEAD, "number", NULL, "80",
     "VMTP never read it; the result has every lost echo"},
    {0},
};

const struct config_vmtp_key *config_vmtp_find(const char *key)
{
    for (const struct config_vmtp_key *k = config_vmtp_table; k->key; k++)
        if (strcmp(k->key, key) == 0)
            return k;
    return NULL;
}

/* What stands inside of a mapping. */
static const struct {
    const char *map, *key, *form;
} vmtp_members[] = {
    {"flavor", "vcpus", "number"},      {"flavor", "ram", "number"},
    {"flavor", "disk", "number"},       {"flavor", "extra_specs", "map"},
    {"fluentd", "logging_tag", "text"}, {"fluentd", "ip", "text"},
    {"fluentd", "port", "number"},
};

static bool vmtp_word(const char *text, const char *const words[])
{
    while (*words && strcasecmp(text, *words) != 0)
        words++;
    return *words != NULL;
}

/* "192.168.1.0/24"; without its prefix it is an address. */
static bool vmtp_network(const char *text, bool prefix)
{
    size_t n = prefix ? strcspn(text, "/") : strlen(text);
    char address[64];
    uint64_t bits = 0;

    if (n >= sizeof address || (prefix && !text[n]))
        return false;
    snprintf(address, sizeof address, "%.*s", (int)n, text);
    return text_address(address, NULL) >= 0 &&
           (!prefix ||
            text_count(text + n + 1, 0, strchr(address, ':') ? 128 : 32, &bits, NULL) == 0);
}

static int vmtp_check_scalar(const char *name, const char *form, const struct config_tree *tree,
                             const struct config_node *value, struct err *err)
{
    static const char *const flags[] = {"true", "false", "yes", "no", "on", "off", NULL};
    static const char *const modes[] = {"slaac", "dhcpv6-stateful", "dhcpv6-stateless", NULL};
    struct err why = {0};
    uint64_t n = 0;

    if (value->kind != CONFIG_SCALAR)
        return config_tree_say(tree, value, err, "%s: takes one value, not %s", name,
                               config_node_kind(value));
    if (strcmp(form, "flag") == 0 && !vmtp_word(value->text, flags))
        return config_tree_say(tree, value, err, "%s: '%.40s' is neither true nor false", name,
                               value->text);
    if (strcmp(form, "ipv6_mode") == 0 && value->text[0] && !vmtp_word(value->text, modes))
        return config_tree_say(tree, value, err,
                               "%s: '%.40s' is none of slaac, dhcpv6-stateful, dhcpv6-stateless",
                               name, value->text);
    if ((strcmp(form, "number") == 0 || strcmp(form, "kbps") == 0) &&
        text_count(value->text, 0, 1000000000, &n, &why) < 0)
        return config_tree_say(tree, value, err, "%s: %s", name, why.text);
    return 0;
}

static int vmtp_check_list(const char *name, const char *form, const struct config_tree *tree,
                           const struct config_node *value, struct err *err)
{
    bool networks = strcmp(form, "networks") == 0, any = strcmp(form, "list") == 0;
    AUTO(free_p) char *joined = NULL;
    int r = config_tree_join(tree, name, value, &joined, err);

    if (r == 0 && value->kind == CONFIG_SCALAR && !any && !vmtp_network(value->text, networks))
        return config_tree_say(tree, value, err, "%s: '%.60s' is no %s", name, value->text,
                               networks ? "network: 192.168.1.0/24" : "address");
    for (size_t i = 0; i < value->n_children && r == 0 && !any; i++)
        if (!vmtp_network(value->child[i]->text, networks))
            r = config_tree_say(tree, value->child[i], err, "%s: '%.60s' is no %s", name,
                                value->child[i]->text,
                                networks ? "network: 192.168.1.0/24" : "address");
    return r;
}

static int vmtp_check_map(const char *map, const struct config_tree *tree,
                          const struct config_node *value, struct err *err)
{
    const char *names[ARRAY_SIZE(vmtp_members)], *near;
    size_t n = 0;

    if (value->kind != CONFIG_MAP)
        return config_tree_say(tree, value, err, "%s: takes a mapping", map);
    for (size_t i = 0; i < ARRAY_SIZE(vmtp_members); i++)
        if (strcmp(vmtp_members[i].map, map) == 0)
            names[n++] = vmtp_members[i].key;
    for (size_t k = 0; k + 1 < value->n_children; k += 2) {
        const struct config_node *key = value->child[k], *inside = value->child[k + 1];
        char name[64];
        size_t i = 0;

        while (i < ARRAY_SIZE(vmtp_members) && (strcmp(vmtp_members[i].map, map) != 0 ||
                                                strcmp(vmtp_members[i].key, key->text) != 0))
            i++;
        snprintf(name, sizeof name, "%s: %.40s", map, key->text);
        near = text_nearest(key->text, names, n);
        if (i == ARRAY_SIZE(vmtp_members))
            return config_tree_say(tree, key, err, "%s has no '%.40s'%s%s%s", map, key->text,
                                   near ? ": did you mean " : "", near ? near : "",
                                   near ? "?" : "");
        if (config_node_null(inside))
            continue;
        if (strcmp(vmtp_members[i].form, "map") == 0 && inside->kind != CONFIG_MAP)
            return config_tree_say(tree, inside, err, "%s: takes a mapping", name);
        if (strcmp(vmtp_members[i].form, "map") != 0 &&
            vmtp_check_scalar(name, vmtp_members[i].form, tree, inside, err) < 0)
            return -EINVAL;
    }
    return 0;
}

/* "[2, 5]" percent: what is allowed at most is the target of our search. */
static int vmtp_range(const struct config_vmtp_key *key, const struct config_tree *tree,
                      const struct config_node *value, char **ret_text, struct err *err)
{
    double share[2] = {0};

    for (size_t i = 0; i < 2; i++) {
        char text[32];

        if (value->kind != CONFIG_LIST || value->n_children != 2 ||
            value->child[i]->kind != CONFIG_SCALAR)
            return config_tree_say(tree, value, err, "%s: takes two percentages: [2, 5]", key->key);
        if ((size_t)snprintf(text, sizeof text, "%s%%", value->child[i]->text) >= sizeof text ||
            text_share(text, &share[i], NULL) < 0)
            return config_tree_say(tree, value->child[i], err, "%s: '%.20s' is no percentage",
                                   key->key, value->child[i]->text);
    }
    if (share[0] > share[1])
        return config_tree_say(tree, value, err, "%s: the first is above the second", key->key);
    return asprintf(ret_text, "%s%%", value->child[1]->text) < 0
               ? err_set(err, ENOMEM, "%s", tree->name)
               : 0;
}

static int vmtp_take_option(const struct config_vmtp_key *key, const struct config_tree *tree,
                            const struct config_node *value, char **ret_text, struct err *err)
{
    bool kbps = strcmp(key->form, "kbps") == 0;
    int r;

    if (strcmp(key->form, "sizes") == 0)
        return config_tree_join(tree, key->key, value, ret_text, err);
    if (strcmp(key->form, "range") == 0)
        return vmtp_range(key, tree, value, ret_text, err);
    r = vmtp_check_scalar(key->key, key->form, tree, value, err);
    if (r < 0)
        return r;
    /* VMTP counts bandwidth in kbit/s, and 0 is none. */
    if (kbps && strspn(value->text, "0") == strlen(value->text))
        r = asprintf(ret_text, "%s", "");
    else
        r = asprintf(ret_text, "%s%s", value->text, kbps ? "k" : "");
    return r < 0 ? err_set(err, ENOMEM, "%s", tree->name) : 0;
}

int config_vmtp_take(const struct config_vmtp_key *key, const struct config_tree *tree,
                     const struct config_node *value, char **ret_text, struct err *err)
{
    static const char *const lists[] = {"list", "addresses", "networks", NULL};
    static const char *const maps[] = {"flavor", "fluentd", NULL};

    *ret_text = NULL;
    if (config_node_null(value))
        return 0;
    if (key->kind == CONFIG_VMTP_OPTION)
        return vmtp_take_option(key, tree, value, ret_text, err);
    if (vmtp_word(key->form, lists))
        return vmtp_check_list(key->key, key->form, tree, value, err);
    if (vmtp_word(key->form, maps))
        return vmtp_check_map(key->form, tree, value, err);
    if (vmtp_check_scalar(key->key, key->form, tree, value, err) < 0)
        return -EINVAL;
    if (key->kind == CONFIG_VMTP_DEAD && strcmp(value->text, key->standard) != 0)
        return config_tree_say(tree, value, err, "%s: %s", key->key, key->reason);
    return 0;
}
