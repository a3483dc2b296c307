/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deploy/remote.h"
#include "deploy/remote_push.h"
#include "deploy/ssh_library.h"

#include <pthread.h>

/*
 * What the files of remote*.c share.
 *
 * A line is the connection to one host: a session of libssh, and the thread that alone touches it. Programs at the same host,
 * asked for in the same way, share a line, each with a channel and pipes of its own. The line lives as long as it has programs.
 */
enum {
    REMOTE_CONNECT_S = 10, /* a name to an address, and each TCP connection */
    REMOTE_ANSWER_S = 15,  /* each answer of the host */
    REMOTE_RETRY_S = 6,    /* a host that turns connections away for now is asked again */
    REMOTE_PERSON_S = 120, /* what a person types */
    REMOTE_STOP_MS = 1000, /* the thread's end when it was told to */
    REMOTE_IDLE_MS = 1000, /* who waits for a host looks after others meanwhile */
    REMOTE_BEAT_S = 10,    /* a program that waits for its caller hears something so often */
    REMOTE_BUFFER = 32768,
};

/* What has come of one stream and was not handed on yet. */
struct remote_bytes {
    char data[REMOTE_BUFFER];
    size_t used, taken;
};

enum remote_state { REMOTE_BEGINNING, REMOTE_RUNS, REMOTE_FAILED };

struct remote_line {
    /* As asked; constant. */
    struct endpoint_text at;
    enum remote_host_keys host_keys;
    char *config;      /* owned; "" the user's own */
    char *known_hosts; /* owned; "" those of the configuration */
    char *password;    /* owned: wiped when the login is over; NULL none was given */
    bool has_password; /* one was given */

    /* Lock: the one of all lines, in remote_line.c. */
    struct remote_line *next; /* under lock: in the list of those that others may join */
    struct remote *programs;  /* under lock: the thread takes out, callers put in, in front */
    int line_fd; /* under lock; owned: the connection once more, to be shut down from outside; -1 none */
    int stop_fd; /* eventfd: no program wants the line any more */
    int wake_fd; /* eventfd: a program came, or is to end */

    pthread_t thread;               /* its own; joined when it has ended */
    struct remote_line *next_ended; /* under lock */

    /* The thread's own. */
    ssh_session session;  /* owned */
    struct spawned proxy; /* owned: ProxyCommand */
    struct remote_agent
        *agent;     /* owned: while it logs in; NULL no ssh-agent, or it has no key for us */
    char host[256]; /* for sentences: as connected to */
    char address[64];
    unsigned n_came; /* pieces that came for any channel */
};

struct remote {
    struct remote_line
        *line;           /* under the lock of lines: NULL none any more; written by its thread */
    struct remote *next; /* its thread's, once it is in the line */
    bool stop;           /* under the lock of lines: it is to end */
    bool push;
    bool become;
    const char *beat; /* lent; constant */
    char **argv;      /* owned; one piece with its words */

    pthread_mutex_t lock;
    unsigned refs;           /* under lock: the caller and the line; the last one frees */
    enum remote_state state; /* under lock */
    struct err err;          /* under lock; of REMOTE_FAILED */
    int r;                   /* under lock; of REMOTE_FAILED */
    char address[64];        /* constant once the state is REMOTE_RUNS */
    int ready_fd;            /* eventfd: state is no longer REMOTE_BEGINNING */
    int over_fd;             /* eventfd: the line has nothing to do with it any more */
    int in_fd, out_fd;       /* owned until they are the caller's: his ends of the pipes; -1 none */

    /* The thread's own. */
    int from_fd, to_fd;  /* owned: ours of the pipes; -1 closed */
    ssh_channel channel; /* owned */
    struct ssh_channel_callbacks_struct callbacks;
    const struct remote_programs
        *programs; /* lent by remote_pump.c while it is started: one is put there */
    struct remote_bytes there, here; /* to the program; from it */
    bool running;
    bool claimed;     /* its caller has said something */
    uint64_t beat_ns; /* when it is told to be patient */
    bool ended;       /* the far side has */
};

/* A sentence with a code of its own, as err_say() has only -EINVAL. Returns -code. */
int remote_say(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* remote.c, for the thread: the program runs, or r < 0; after the second the line has nothing to do with it any more. */
void remote_ready(struct remote *remote, int r, const struct err *err);
void remote_over(struct remote *remote);
void remote_tell(int event_fd);

/* ---- remote_line.c ---- */

/* Join the line to that host, or make one. The program is put into it, with a reference. */
int remote_line_join(struct remote *remote, const struct endpoint_text *at,
                     const struct remote_options *options, struct err *err);
/* The caller wants the program to end: when it is the last one, the connection is broken, whatever waits for it. */
void remote_line_stop(struct remote *remote);

/* Wait for events on a descriptor (-1 none), while other programs run. 1 there are; 0 deadline; -ECANCELED the line is to end. */
int remote_line_poll(struct remote_line *line, int fd, short events, uint64_t deadline_ns);
/* Has it been told to end? */
bool remote_line_is_stopped(struct remote_line *line);
/* The connection, so that a caller can break it; a copy is kept. */
int remote_line_set(struct remote_line *line, int fd, struct err *err);
/* Wipe the password that was given. */
void remote_line_forget(struct remote_line *line);
/*
 * The thread waits for something while other programs run: their bytes are carried on. 1 something may have come; 0 not until
 * the deadline, or not for a while; -ECANCELED the line or the program that is being started (NULL none) is to end.
 */
int remote_line_turn(struct remote_line *line, struct remote *starting, uint64_t deadline_ns);

/* ---- the thread's work ---- */

/* remote_connect.c: options, connection and host key; the session is made. */
int remote_connect(struct remote_line *line, struct err *err);
/* A copy of an option as libssh has it; "" it has none. */
void remote_option(ssh_session session, enum ssh_options_e option, char *ret, size_t size);

/*
 * remote_key.c: is the host's key the one that is known?
 *
 * returns 0; 1 (only when this is not the last try) it is not the pinned one, and the host may have one of another kind than
 *         ret_kind
 */
int remote_key_check(struct remote_line *line, bool last, char *ret_kind, size_t size,
                     struct err *err);

/* remote_login.c: who we are. */
int remote_login(struct remote_line *line, struct err *err);
/*
 * Try one way in, until the host has answered. The session does not block: libssh's own wait goes on to its deadline when the host
 * has ended the connection, and does not end when the line is to end.
 *
 * returns an SSH_AUTH_ value but SSH_AUTH_AGAIN; -ECANCELED the line is to end; -ETIME no answer
 */
enum remote_way {
    REMOTE_BY_NOTHING,
    REMOTE_BY_AGENT,
    REMOTE_BY_OFFER, /* would the host take this key? */
    REMOTE_BY_KEY,
    REMOTE_BY_PASSWORD,
    REMOTE_BY_ANSWERS, /* keyboard-interactive */
};
int remote_login_by(struct remote_line *line, enum remote_way way, ssh_key key,
                    const char *password);
/* Nothing else can be tried after that: it is done, or partly, or the connection is gone, or the line is to end. */
bool remote_login_is_over(struct remote_line *line, int auth);

/* remote_identity.c: the files of keys that the configuration names. */
enum { REMOTE_IDENTITY_MAX = 16 };
struct remote_identities {
    char files[REMOTE_IDENTITY_MAX][256];
    char certificates[REMOTE_IDENTITY_MAX]
                     [256]; /* CertificateFile; FILE-cert.pub is looked for beside these */
    size_t n_files, n_certificates;
    char agent[256]; /* IdentityAgent, as it is written; "" it is not */
    bool only;       /* IdentitiesOnly */
};
void remote_identities_read(struct remote_line *line, struct remote_identities *ret_identities);
/* Log in with those keys; an SSH_AUTH_ value. */
int remote_identities_try(struct remote_line *line, const struct remote_identities *identities);

/* remote_agent.c: the ssh-agent's keys, those of the configuration first or alone; until it is closed. It has words for nothing. */
void remote_agent_open(struct remote_line *line, const struct remote_identities *identities);
void remote_agent_close(struct remote_line *line);

/* remote_pump.c: start the program; then carry its bytes, until it or the caller ends. */
int remote_start(struct remote *remote, struct err *err);
/* What there is, without waiting. */
void remote_carry(struct remote *remote);
/* All of it, with a deadline that what goes moves on. */
int remote_send(struct remote *remote, const uint8_t *bytes, size_t n, struct err *err);
/* remote_sftp.c: bytes into a file that is there; not while it is read. errors: -ENOEXEC the host has no SFTP, or it refuses */
int remote_sftp_put(struct remote *remote, const char *path, const uint8_t *bytes, size_t n,
                    struct err *err);
/* What to wait for at the connection. */
short remote_events(const struct remote_line *line);
static inline bool remote_is_empty(const struct remote_bytes *b) { return b->taken == b->used; }

/* remote_become.c: answer sudo, which asks for a password. errors: -EACCES there is none, or it is not right */
int remote_become_answer(struct remote *remote, const struct remote_push *push, struct err *err);

/*
 * Ask on the terminal, one question at a time however many hosts ask.
 *
 * errors  -ENOTTY there is none; -ETIMEDOUT; -ECANCELED
 * owns    ret_answer: the caller wipes it
 */
int remote_ask(struct remote_line *line, const char *question, bool echo, char *ret_answer,
               size_t size);
