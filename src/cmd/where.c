/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/where.h"
#include "base/text.h"
#include "deploy/agents.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int where_agent(const char *asked, char *ret_path, size_t size, struct err *err)
{
    char self[512];
    ssize_t n;
    char *slash;

    if (asked[0]) {
        if (access(asked, X_OK) < 0)
            return err_set(err, errno, "agent '%s'", asked);
        text_copy(ret_path, size, asked);
        return 0;
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return err_set(err, errno, "finding this program's folder");
    self[n] = 0;
    slash = strrchr(self, '/');
    *slash = 0;
    if ((size_t)snprintf(ret_path, size, "%s/vnperf-agent", self) >= size)
        return err_say(err, "the folder of this program has too long a name");
    /* A controller that was copied without it has one inside. */
    if (access(ret_path, X_OK) < 0 && errno == ENOENT && agents_file(ret_path, size, NULL) == 0)
        return 0;
    if (access(ret_path, X_OK) < 0)
        return err_set(err, errno, "the agent program %s (--agent names another)", ret_path);
    return 0;
}

bool where_agent_is_inside(const char *path) { return strncmp(path, "/proc/self/fd/", 14) == 0; }
