/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/text.h"
#include "model/facts.h"
#include "model/flow_spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What makes and reaches endpoints. A driver is one row of hooks; the list of them is in driver.c.
 *
 * plan/ asks for resources one by one, in order: nodes, networks, router, external host, VMs. It writes each into the
 * ledger before it calls create, and calls destroy in reverse order for every one that it called create for, also when
 * create failed: destroy of something that is not there, or only half, is 0.
 */
enum resource_kind {
    RESOURCE_NODE,
    RESOURCE_NETWORK,
    RESOURCE_ROUTER,
    RESOURCE_EXTERNAL,
    RESOURCE_VM,
    RESOURCE_KIND_COUNT
};
/* "node", "network", "router", "external", "vm". */
extern const char *const resource_kind_name[RESOURCE_KIND_COUNT];

/* Where something is that nobody has to make. */
struct resource_there {
    struct endpoint_text at;
    char floating[FLOW_ADDRESS_SIZE]; /* IPv4 that reaches it through NAT; "" none */
    char *password; /* owned by who has the struct; of SSH; NULL none. Never shown, never kept */
};

/* What is to be made. */
struct resource {
    enum resource_kind kind;
    char name[48];
    char node[32];                      /* VM, router: the node it lives on; else "" */
    char network[32];                   /* VM: the tenant network it is on; else "" */
    const struct resource_there *there; /* lent; NULL it is to be made */
};

/* How it is reached once it is there. */
struct placed {
    char address[FLOW_ADDRESS_SIZE];    /* IPv4, own */
    char address_v6[FLOW_ADDRESS_SIZE]; /* IPv6, own; "" none */
    char floating[FLOW_ADDRESS_SIZE];   /* IPv4 that reaches it through NAT; "" none */
    uint32_t mtu;
};

struct remote; /* deploy/remote.h */

/* An agent that runs: talk over in and out, wait for pid or remote. */
struct spawned {
    int in_fd;  /* owned by the caller: write lines here */
    int out_fd; /* owned by the caller: read lines here */
    pid_t
        pid; /* a child of this process in a session of its own, to be waited for by spawned_end(); 0 none */
    struct remote *remote; /* owned: a program on another host, ended by spawned_end(); NULL none */
};

struct driver_state;   /* each driver's own */
struct remote_options; /* below */

/* What a driver is told beside the resources; all lent until close. A driver of whose fields none matters takes NULL. */
struct driver_setup {
    const char *ledger_path; /* of the run; NULL none */
    const char *agent;       /* the agent program on this machine */
    const char *agent_there; /* the agent as hosts have it; "" it is put there */
    const struct remote_options
        *remote;      /* how hosts are reached; NULL as the user's own ssh does */
    int interrupt_fd; /* readable when the user wants to stop; -1 none */
};

/* One command that making a resource takes: in which resource it runs, its words, what is on its stdin. */
typedef void driver_explain_fn(void *arg, const char *where, const char *command, const char *text);

struct driver {
    const char *name;
    const char *summary;

    /* Can this driver work here? Touches nothing. errors: a sentence with the mend in it. */
    int (*probe)(struct err *err);

    /*
     * Begin and end of a driver's work; close also removes whatever is still there. state is owned by the caller.
     * A driver of which nothing can outlive this process removes the file of setup->ledger_path itself when this process
     * dies first.
     */
    int (*open)(const char *run_id, const struct driver_setup *setup,
                struct driver_state **ret_state, struct err *err);
    void (*close)(struct driver_state *state);

    /* Make one resource; it is usable when this returns 0. */
    int (*create)(struct driver_state *state, const struct resource *resource,
                  struct placed *ret_placed, struct err *err);
    /* Remove one resource and wait until it is gone. */
    int (*destroy)(struct driver_state *state, const struct resource *resource, struct err *err);

    /*
     * Optional: begin to start argv, as spawn() with the same words will then end it. Comes back at once, so that many are
     * under way together; what goes wrong is told by spawn().
     */
    void (*begin)(struct driver_state *state, const char *name, char *const argv[]);
    /* Start argv (a program that speaks over stdin and stdout) in a node, VM or external host; stderr goes to ours. */
    int (*spawn)(struct driver_state *state, const char *name, char *const argv[],
                 struct spawned *ret_spawned, struct err *err);

    /* Tell the commands that create would run, resource by resource; touches nothing. NULL: it runs none. */
    int (*explain)(const struct resource *const resources[], size_t n_resources,
                   driver_explain_fn *tell, void *arg, struct err *err);

    /*
     * One line a resource for the ledger: all that a later cleanup needs to find it without this process. NULL: the driver
     * makes nothing, so there is nothing to write down and nothing to remove.
     */
    int (*describe)(struct driver_state *state, const struct resource *resource, char *ret_text,
                    size_t size);
    /*
     * From the ledger of a run that broke: remove what text names and wait until it is gone. 0 when it was gone already,
     * 1 when it had to be removed. Text that this driver never wrote is -EINVAL. NULL as describe.
     */
    int (*clean)(const char *text, struct err *err);
};

/* The driver of that name, or NULL. */
const struct driver *driver_find(const char *name);
/* The i-th driver, or NULL behind the last: for help and completion. Test drivers are not listed. */
const struct driver *driver_at(unsigned i);

extern const struct driver driver_lab;
extern const struct driver driver_ssh;

/*
 * Start argv with both ends of a pipe pair: on this machine, in the namespace /run/netns/NAME, or by `sh -c COMMAND`.
 * An exec: command is started as given, with argv's words quoted behind it. The program has no file of ours but 0, 1, 2
 * and is killed when the calling thread ends: start it from a thread that outlives it.
 *
 * errors  -ENOENT no such namespace or program; -EPERM not allowed to enter
 */
int spawn_local(char *const argv[], struct spawned *ret_spawned, struct err *err);
int spawn_netns(const char *name, char *const argv[], struct spawned *ret_spawned, struct err *err);
int spawn_command(const char *command, char *const argv[], struct spawned *ret_spawned,
                  struct err *err);

/* What an SSH host key that known_hosts does not have is worth. One that has changed is always an error. */
enum remote_host_keys {
    REMOTE_HOST_KEYS_STRICT,
    REMOTE_HOST_KEYS_ACCEPT_NEW,
    REMOTE_HOST_KEYS_PINNED, /* only those that the endpoint names (host_key), or known_hosts below has */
};

struct remote_options {
    enum remote_host_keys host_keys;
    const char
        *config; /* lent: read instead of ~/.ssh/config and /etc/ssh/ssh_config; NULL, "" those */
    bool
        push; /* argv[0] is a file of this machine that is put there first, or an agent for the host's processor that is
                 inside this program; else a program that is there */
    bool become; /* it runs as root there, by sudo */
    const char *
        known_hosts; /* lent: the only file of known hosts that counts; NULL, "" the configuration's */
    int interrupt_fd; /* lent: readable when the user wants to stop; -1 none */
    const char *
        password; /* lent: tried before keys; it is copied, and wiped when the login is over; NULL none */
    const char *
        beat; /* lent, constant: what an agent that runs is told from time to time until its caller speaks to it, as he may
                 have others to wait for; NULL nothing */
    void (*on_wait)(void *arg); /* called once a second while a host is waited for; NULL none */
    void *wait_arg;             /* lent */
};

/*
 * Start argv on another host, over SSH. at is an ENDPOINT_SSH. Errors as deploy/remote.h has them: -ENOEXEC nothing can run
 * there, -ECANCELED a signal came, codes of this machine (-ENOMEM, -EMFILE); all others mean that the host is not reached or
 * not entered.
 */
int spawn_ssh(const struct endpoint_text *at, const struct remote_options *options,
              char *const argv[], struct spawned *ret_spawned, struct err *err);

/*
 * Many hosts together: all are begun, then each is waited for. Each ask has its own answer; r as spawn_ssh(), and 0 has
 * spawned, which the caller ends.
 */
struct spawn_ssh_ask {
    const struct endpoint_text *at;       /* lent */
    const struct remote_options *options; /* lent */
    char *const *argv;                    /* lent */

    struct spawned spawned;
    struct err err;
    int r;
    struct remote *remote; /* of the call */
};
void spawn_ssh_all(struct spawn_ssh_ask asks[], size_t n_asks);

/*
 * For who asks for one host after the other: begin already what spawn_ssh() will be asked for next with the same words, so that
 * the hosts are reached together. Why a host is not reached, that call says. What nobody asked for ends with the second.
 */
void spawn_ssh_ahead(const struct endpoint_text *at, const struct remote_options *options,
                     char *const argv[]);
void spawn_ssh_ahead_end(void);
/*
 * Before the process ends: wait, up to a second, until no thread of a host works any more, as libraries take themselves down then.
 * false: one hangs where nothing can reach it (a resolver).
 */
bool spawn_ssh_done(void);

/*
 * Take VNPERF_BECOME_PASSWORD out of the environment, so that no program that is started has it: what sudo is told where it
 * asks (remote_options.become). Before there is a second thread.
 */
void spawn_take_password(void);

/*
 * Start argv at an endpoint of whatever kind. put: argv[0] is the agent program of this machine, which is put on a host that is
 * reached over SSH, unless there names one that it has; in the far end of a command it is argv[0] or there.
 *
 * errors  -EHOSTUNREACH a host is not reached over SSH, or not entered; -ENOPKG nothing can run there; -ECANCELED a signal
 *         came; -EINVAL no program of ours runs there; else as of the one above
 */
int spawn_at(const struct endpoint_text *at, const struct remote_options *options, bool put,
             const char *there, char *const argv[], struct spawned *ret_spawned, struct err *err);
/* The first half of it, of an ENDPOINT_SSH; the second is spawn_at_code(remote_wait()). errors: as remote_begin() */
int spawn_at_begin(const struct endpoint_text *at, const struct remote_options *options, bool put,
                   const char *there, char *const argv[], struct remote **ret_remote,
                   struct err *err);
/* spawn_ssh_ahead() of what spawn_at() will be asked for with put. Nothing at any other endpoint. */
void spawn_at_ahead(const struct endpoint_text *at, const struct remote_options *options,
                    const char *there, char *const argv[]);
/* The errors of deploy/remote.h as those of spawn_at(). */
int spawn_at_code(int r);

/*
 * Close the pipes, give the program up to grace_ns to end by itself, then SIGKILL it and its process group; reap it. A
 * program on another host loses its connection then.
 * Takes a zeroed or ended one. Comes before the driver's close().
 */
void spawned_end(struct spawned *spawned, uint64_t grace_ns);
