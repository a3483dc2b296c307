/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agents.h"

#include "base/auto.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of agents.S; meson.build says which there are. */
extern const uint8_t agents_x86_64[], agents_aarch64[];
extern const uint64_t agents_x86_64_size, agents_aarch64_size;

static const struct {
    struct agent_image image;
    const uint64_t *size;
} agents_inside[] = {
#ifdef VNPERF_AGENT_X86_64
    {{.name = "x86_64", .machine = EM_X86_64, .bytes = agents_x86_64}, &agents_x86_64_size},
#endif
#ifdef VNPERF_AGENT_AARCH64
    {{.name = "aarch64", .machine = EM_AARCH64, .bytes = agents_aarch64}, &agents_aarch64_size},
#endif
    {{0}, NULL},
};
static struct agent_image agents[ARRAY_SIZE(agents_inside)];
static pthread_once_t agents_once = PTHREAD_ONCE_INIT;

static void agents_init(void)
{
    for (size_t i = 0; agents_inside[i].size; i++) {
        agents[i] = agents_inside[i].image;
        agents[i].size = *agents_inside[i].size;
        sha256_text(agents[i].bytes, agents[i].size, agents[i].hash);
    }
}

const struct agent_image *agents_at(unsigned i)
{
    pthread_once(&agents_once, agents_init);
    return i + 1 < ARRAY_SIZE(agents) ? &agents[i] : NULL;
}

const struct agent_image *agents_find(uint16_t machine)
{
    const struct agent_image *image;

    for (unsigned i = 0; (image = agents_at(i)); i++)
        if (image->machine == machine)
            return image;
    return NULL;
}

const char *agents_machine_name(uint16_t machine)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } names[] = {
        {EM_X86_64, "x86_64"}, {EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv64"},
        {EM_PPC64, "ppc64le"}, {EM_S390, "s390x"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "another machine";
}

/* ---- as a file ---- */

static uint16_t agents_own(void)
{
    Elf64_Ehdr header = {0};
    AUTO(close_p) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, &header, sizeof header) == sizeof header ? header.e_machine : 0;
}

/* All that was written is all that anybody can make of it: it is sealed. */
static int agents_write(const struct agent_image *image)
{
    AUTO(close_p) int fd = memfd_create("vnperf-agent", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < image->size;) {
        ssize_t n = write(fd, image->bytes + done, image->size - done);

        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    if (fchmod(fd, 0755) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int agents_file(char *ret_path, size_t size, struct err *err)
{
    const struct agent_image *image = agents_find(agents_own());
    int fd = image ? agents_write(image) : -ENOENT;

    if (fd < 0)
        return err_set(err, fd, image ? "a file for the agent" : "no agent is inside this program");
    /* Close-on-exec does not keep it from being what is executed. */
    snprintf(ret_path, size, "/proc/self/fd/%d", fd);
    return 0;
}
