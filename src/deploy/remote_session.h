/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deploy/remote.h"
#include "deploy/remote_push.h"
#include "deploy/ssh_library.h"

#include <pthread.h>

/*
 * What the files of remote*.c share. All of it is the thread's, but for what stands under lock.
 */
enum {
    REMOTE_CONNECT_S = 10, /* a name to an address, and each TCP connection */
    REMOTE_ANSWER_S = 15,  /* each answer of the host */
    REMOTE_PERSON_S = 120, /* what a person types */
    REMOTE_STOP_MS = 1000, /* the thread's end when it was told to */
};

enum remote_state { REMOTE_BEGINNING, REMOTE_RUNS, REMOTE_FAILED };

struct remote {
    /* As asked; constant. */
    struct endpoint_text at;
    enum remote_host_keys host_keys;
    bool push;
    char *config;   /* owned; "" the user's own */
    char *password; /* owned: wiped when the login is over; NULL none was given */
    char **argv;    /* owned; one piece with its words */

    pthread_mutex_t lock;
    unsigned refs;           /* under lock: the caller and the thread; the last one frees */
    enum remote_state state; /* under lock */
    struct err err;          /* under lock; of REMOTE_FAILED */
    int r;                   /* under lock; of REMOTE_FAILED */
    int line_fd; /* under lock; owned: the connection once more, to be shut down from outside; -1 none */
    int ready_fd;      /* eventfd: state is no longer REMOTE_BEGINNING */
    int over_fd;       /* eventfd: the thread is at its end */
    int stop_fd;       /* eventfd: end now */
    int in_fd, out_fd; /* owned until they are the caller's: his ends of the pipes; -1 none */

    /* The thread's own. */
    int from_fd, to_fd;  /* owned: ours of the pipes; -1 closed */
    ssh_session session; /* owned */
    ssh_channel channel; /* owned */
    struct ssh_callbacks_struct callbacks;
    struct spawned proxy;          /* owned: ProxyCommand */
    char host[256];                /* for sentences: as connected to */
    char address[64];              /* constant once the state is REMOTE_RUNS */
    struct remote_program program; /* owned */
};

/* A sentence with a code of its own, as err_say() has only -EINVAL. Returns -code. */
int remote_say(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Wait for events on a descriptor (-1 none). 1 there are; 0 deadline; -ECANCELED we are to end. */
int remote_poll(struct remote *remote, int fd, short events, uint64_t deadline_ns);
/* Has it been told to end? */
bool remote_is_stopped(struct remote *remote);
/* The connection, so that the caller can break it; a copy is kept. */
int remote_set_line(struct remote *remote, int fd, struct err *err);

/* Wipe the password that was given. */
void remote_forget(struct remote *remote);

/* remote_connect.c: options, connection and host key; the session is made. */
int remote_connect(struct remote *remote, struct err *err);
/* remote_login.c: who we are. */
int remote_login(struct remote *remote, struct err *err);
/* remote_pump.c: start the program; then carry bytes until it or the caller ends. */
int remote_start(struct remote *remote, struct err *err);
void remote_pump(struct remote *remote);

/*
 * Ask on the terminal, one question at a time however many hosts ask.
 *
 * errors  -ENOTTY there is none; -ETIMEDOUT; -ECANCELED
 * owns    ret_answer: the caller wipes it
 */
int remote_ask(struct remote *remote, const char *question, bool echo, char *ret_answer,
               size_t size);
