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
    CLOUD("flavor", "map"),
    CLOUD("availability_zone", "text"),
    CLOUD("dns_nameservers", "list"),
    CLOUD("vm_image_url", "text"),
    CLOUD("reuse_network_name", "text"),
    CLOUD("floating_ip", "flag"),
    CLOUD("config_drive", "flag"),
    CLOUD("user_data_file", "text"),
    CLOUD("ipv6_mode", "text"),
    CLOUD("router_name", "text"),
    CLOUD("internal_network_name", "list"),
    CLOUD("internal_subnet_name", "list"),
    CLOUD("internal_subnet_name_v6", "list"),
    CLOUD("internal_cidr", "list"),
    CLOUD("internal_cidr_v6", "list"),
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
    STORE("fluentd", "map"),
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

static bool vmtp_flag(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static int vmtp_check_scalar(const struct config_vmtp_key *key, const struct config_tree *tree,
                             const struct config_node *value, struct err *err)
{
    struct err why = {0};
    uint64_t n = 0;

    if (value->kind != CONFIG_SCALAR)
        return config_tree_say(tree, value, err, "%s: takes one value, not a %s", key->key,
                               value->kind == CONFIG_MAP ? "mapping" : "list");
    if (strcmp(key->form, "flag") == 0 && !vmtp_flag(value->text))
        return config_tree_say(tree, value, err, "%s: '%.40s' is neither true nor false", key->key,
                               value->text);
    if ((strcmp(key->form, "number") == 0 || strcmp(key->form, "kbps") == 0) &&
        text_count(value->text, 0, 1000000000, &n, &why) < 0)
        return config_tree_say(tree, value, err, "%s: %s", key->key, why.text);
    return 0;
}

/* Scalars of a list, a comma between. */
static int vmtp_join(const struct config_vmtp_key *key, const struct config_tree *tree,
                     const struct config_node *value, char **ret_text, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    size_t size = 0;
    FILE *out;
    int r = 0;

    if (value->kind == CONFIG_MAP)
        return config_tree_say(tree, value, err, "%s: takes a list, not a mapping", key->key);
    out = open_memstream(&text, &size);
    if (!out)
        return err_set(err, ENOMEM, "%s", tree->name);
    if (value->kind == CONFIG_SCALAR)
        fputs(value->text, out);
    for (size_t i = 0; i < value->n_children && r == 0; i++) {
        if (value->child[i]->kind != CONFIG_SCALAR)
            r = config_tree_say(tree, value->child[i], err, "%s: a list of single values is wanted",
                                key->key);
        else
            fprintf(out, "%s%s", i ? "," : "", value->child[i]->text);
    }
    if (fclose(out) != 0 && r == 0)
        r = err_set(err, ENOMEM, "%s", tree->name);
    if (r == 0 && ret_text)
        *ret_text = TAKE(text);
    return r;
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
    int r;

    if (strcmp(key->form, "sizes") == 0)
        return vmtp_join(key, tree, value, ret_text, err);
    if (strcmp(key->form, "range") == 0)
        return vmtp_range(key, tree, value, ret_text, err);
    r = vmtp_check_scalar(key, tree, value, err);
    if (r < 0)
        return r;
    /* VMTP counts bandwidth in kbit/s, and 0 is none. */
    if (strcmp(key->form, "kbps") == 0 && strspn(value->text, "0") != strlen(value->text))
        r = asprintf(ret_text, "%sk", value->text);
    else
        r = asprintf(ret_text, "%s", strcmp(key->form, "kbps") == 0 ? "" : value->text);
    return r < 0 ? err_set(err, ENOMEM, "%s", tree->name) : 0;
}

int config_vmtp_take(const struct config_vmtp_key *key, const struct config_tree *tree,
                     const struct config_node *value, char **ret_text, struct err *err)
{
    *ret_text = NULL;
    if (config_node_null(value))
        return 0;
    if (key->kind == CONFIG_VMTP_OPTION)
        return vmtp_take_option(key, tree, value, ret_text, err);
    if (strcmp(key->form, "list") == 0)
        return vmtp_join(key, tree, value, NULL, err);
    if (strcmp(key->form, "map") == 0)
        return value->kind == CONFIG_MAP
                   ? 0
                   : config_tree_say(tree, value, err, "%s: takes a mapping", key->key);
    if (vmtp_check_scalar(key, tree, value, err) < 0)
        return -EINVAL;
    if (key->kind == CONFIG_VMTP_DEAD && strcmp(value->text, key->standard) != 0)
        return config_tree_say(tree, value, err, "%s: %s", key->key, key->reason);
    return 0;
}
