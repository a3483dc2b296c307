/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Putting the agent on a host with nothing but a shell there: the command that is run at the far side, and what its
 * answers mean. No I/O over the network here.
 *
 * The command is one shell script in single quotes. It says lines that begin with "vnperf-push "; whatever else comes
 * before is a shell's profile and is passed over. It looks for a folder that is writable and in which a file can be
 * run (tried by running one), asks for the program's bytes, counts them from its stdin (where no program there reads them they come by SFTP), compares SHA-256 (the size where
 * there is no sha256sum), and becomes the program. Its stdin and stdout are the program's from then on.
 *
 * What was pushed has no name any more when it runs: the script opens it, unlinks it, and runs it by /proc/self/fd.
 * So nothing stays, however it ends. A program with the right SHA-256 that is there already, as vnperf-agent in PATH or as
 * vnperf-agent-HASH16 in a folder of the user's own, is run as it is and stays. In folders of everybody none is looked for:
 * others could exchange it.
 *
 * By sudo: where it wants no password that is found out first, and nothing is asked. Else sudo reads the password from the
 * same stdin, a line before the program's own, and asks for it on stderr with a line of ours. It reads byte by byte, so
 * what stands behind the line is the program's.
 */

/* A program that may be put there. */
struct remote_program {
    const uint8_t *bytes;
    uint8_t *own; /* owned: bytes, when they are of a file; NULL they are in this program */
    size_t size;
    char hash[SHA256_TEXT_SIZE];
    uint16_t machine; /* e_machine of its ELF header; 0 it is none, and runs anywhere */
};

/* Of these the host's processor chooses. */
enum { REMOTE_PROGRAMS_MAX = 4 };
struct remote_programs {
    struct remote_program list[REMOTE_PROGRAMS_MAX];
    unsigned n;
};

/*
 * The program in a file; and, for the machines that it is not for, the agents that are inside this program.
 *
 * errors  a sentence with the path. owns: ended with remote_programs_done(), which takes a zeroed one
 */
int remote_programs_read(const char *path, struct remote_programs *ret_programs, struct err *err);
void remote_programs_done(struct remote_programs *programs);

/*
 * The command to run at the far side: one of programs is pushed and takes the place of argv[0]; NULL: argv[0] is there
 * already. become: it runs as root, by sudo.
 *
 * owns    ret_command: freed by the caller
 */
int remote_push_command(const struct remote_programs *programs, bool become, char *const argv[],
                        char **ret_command, struct err *err);

enum remote_step {
    REMOTE_STEP_LISTEN, /* go on reading lines */
    REMOTE_STEP_SEND,   /* send the bytes of push.program, all of them, then go on reading */
    REMOTE_STEP_SFTP, /* put the bytes of push.program at push.path by SFTP, send a newline, then go on reading */
    REMOTE_STEP_PASSWORD, /* sudo asks for the password of push.user: send it and a newline, then go on reading */
    REMOTE_STEP_RUN,  /* what follows is the program's */
    REMOTE_STEP_FAIL, /* err says why: -ENOEXEC, -EACCES sudo does not let us */
};

/* The far side of one push, as its lines tell; a zeroed one is the beginning. */
struct remote_push {
    const struct remote_program *program; /* lent: of programs, for the machine that it is */
    bool heard;                           /* it has said a line of ours */
    bool reused;                          /* the program was there */
    unsigned n_passwords;                 /* how often sudo has asked */
    char user[64];                        /* whose password it wants */
    char path[256];                       /* of the program, as it was called */
    char refused[256];                    /* "FOLDER why, FOLDER why" */
    char stray[128]; /* the last line that was not ours, for a shell that is none */
};

/* One line of its stdout, or of its stderr, without its end; it is changed. programs: as for the command. */
enum remote_step remote_push_line(struct remote_push *push, char *line,
                                  const struct remote_programs *programs, struct err *err);

/* Does a line begin as ours do? */
bool remote_push_is_ours(const char *line);
