/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts and VMs that are there already, reached by what names them: ssh://, or a command, a network namespace, this machine.
 * Nothing is made there but the programs that are started, which end with their pipes; so nothing is written down, and
 * nothing is removed.
 */
#include "base/auto.h"
#include "base/text.h"
#include "deploy/driver.h"
#include "deploy/remote.h"
#include "deploy/ssh_library.h"

#include <errno.h>
#include <string.h>

enum { SSH_PLACES = 32 };

struct ssh_place {
    char name[sizeof((struct resource *)0)->name];
    const struct resource_there *there; /* lent by the resource */
    struct remote *begun;               /* owned; the agent is on its way; NULL not */
};

struct driver_state {
    struct ssh_place place[SSH_PLACES];
    size_t n_places;
    struct remote_options remote;
    const char *agent, *agent_there; /* lent by the setup */
};

static int ssh_probe(struct err *err)
{
    /* Where SSH is not asked for it is not needed, so who asks for it says what is missing. */
    (void)err;
    return 0;
}

static int ssh_open(const char *run_id, const struct driver_setup *setup,
                    struct driver_state **ret_state, struct err *err)
{
    struct driver_state *state = calloc(1, sizeof *state);

    if (!state)
        return err_set(err, ENOMEM, "hosts of run %s", run_id);
    state->remote.interrupt_fd = -1;
    if (setup) {
        if (setup->remote)
            state->remote = *setup->remote;
        state->remote.interrupt_fd = setup->interrupt_fd;
        state->agent = setup->agent;
        state->agent_there = setup->agent_there;
    }
    *ret_state = state;
    return 0;
}

static void ssh_close(struct driver_state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < state->n_places; i++)
        remote_end(state->place[i].begun, 0);
    free(state);
}

static struct ssh_place *ssh_find(struct driver_state *state, const char *name)
{
    for (size_t i = 0; i < state->n_places; i++)
        if (strcmp(state->place[i].name, name) == 0)
            return &state->place[i];
    return NULL;
}

static int ssh_create(struct driver_state *state, const struct resource *resource,
                      struct placed *ret_placed, struct err *err)
{
    struct ssh_place *p = &state->place[state->n_places];

    if (!resource->there)
        return err_say(err, "%s %s is not named: --host and --vm name what is there",
                       resource_kind_name[resource->kind], resource->name);
    if (ssh_find(state, resource->name))
        return err_set(err, EEXIST, "%s %s", resource_kind_name[resource->kind], resource->name);
    if (state->n_places == SSH_PLACES)
        return err_set(err, ENOSPC, "more than %d hosts", SSH_PLACES);
    *p = (struct ssh_place){.there = resource->there};
    text_copy(p->name, sizeof p->name, resource->name);
    state->n_places++;
    /* Its own addresses are told by its agent. */
    *ret_placed = (struct placed){0};
    text_copy(ret_placed->floating, sizeof ret_placed->floating, p->there->floating);
    return 0;
}

/* It stays as it was found. */
static int ssh_destroy(struct driver_state *state, const struct resource *resource, struct err *err)
{
    (void)state, (void)resource, (void)err;
    return 0;
}

static bool ssh_is_agent(const struct driver_state *state, char *const argv[])
{
    return state->agent && strcmp(argv[0], state->agent) == 0;
}

static struct remote_options ssh_options(const struct driver_state *state,
                                         const struct ssh_place *p)
{
    struct remote_options remote = state->remote;

    remote.password = p->there->password;
    return remote;
}

static void ssh_begin(struct driver_state *state, const char *name, char *const argv[])
{
    struct ssh_place *p = ssh_find(state, name);
    struct remote_options remote;
    struct err err = {0};

    if (!p || p->there->at.kind != ENDPOINT_SSH || p->begun || !ssh_is_agent(state, argv))
        return;
    remote = ssh_options(state, p);
    /* A failure is met again by spawn(), which tells it. */
    spawn_at_begin(&p->there->at, &remote, true, state->agent_there, argv, &p->begun, &err);
}

static int ssh_spawn(struct driver_state *state, const char *name, char *const argv[],
                     struct spawned *ret_spawned, struct err *err)
{
    struct ssh_place *p = ssh_find(state, name);
    struct remote_options remote;
    bool agent = ssh_is_agent(state, argv);

    if (!p)
        return err_set(err, ENOENT, "host %s", name);
    if (agent && p->begun)
        return spawn_at_code(remote_wait(TAKE(p->begun), &state->remote, ret_spawned, err));
    remote = ssh_options(state, p);
    return spawn_at(&p->there->at, &remote, agent, state->agent_there, argv, ret_spawned, err);
}

const struct driver driver_ssh = {
    .name = "ssh",
    .summary = "hosts and VMs that are there: by SSH, by a command that gives a pipe, or in a "
               "network namespace",
    .probe = ssh_probe,
    .open = ssh_open,
    .close = ssh_close,
    .create = ssh_create,
    .destroy = ssh_destroy,
    .begin = ssh_begin,
    .spawn = ssh_spawn,
};
