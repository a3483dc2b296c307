/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/probe_half.h"
#include "base/auto.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { HALF_SYN_RECV = 3, HALF_WORD = 8, HALF_LINES = 100000 };

/* The words of an address as the kernel prints them: each as the number that its four bytes are on that machine. */
static bool half_address(const char *hex, char ret_address[FLOW_ADDRESS_SIZE])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t n = strlen(hex) / HALF_WORD;
    uint32_t word[4] = {0};
    const uint8_t *bytes = (const uint8_t *)word;

    if (strlen(hex) % HALF_WORD || (n != 1 && n != 4))
        return false;
    for (size_t i = 0; i < n; i++)
        if (sscanf(hex + i * HALF_WORD, "%8x", &word[i]) != 1)
            return false;
    if (n == 4 && memcmp(bytes, mapped, sizeof mapped) != 0)
        return inet_ntop(AF_INET6, bytes, ret_address, FLOW_ADDRESS_SIZE);
    return inet_ntop(AF_INET, n == 4 ? bytes + sizeof mapped : bytes, ret_address,
                     FLOW_ADDRESS_SIZE);
}

bool probe_half_line(const char *line, uint16_t port, char ret_address[FLOW_ADDRESS_SIZE])
{
    char far[4 * HALF_WORD + 1];
    unsigned own_port = 0, state = 0;

    return sscanf(line, " %*u: %*32[0-9A-F]:%4x %32[0-9A-F]:%*4x %2x", &own_port, far, &state) ==
               3 &&
           own_port == port && state == HALF_SYN_RECV && half_address(far, ret_address);
}

void probe_half_read(uint16_t port, struct probe_heard *heard)
{
    static const char *const files[] = {"/proc/net/tcp", "/proc/net/tcp6"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO(fclose_p) FILE *f = fopen(files[i], "re");
        char line[512], address[FLOW_ADDRESS_SIZE];

        /* A server with very many connections is not read for ever. */
        for (int n = 0; f && n < HALF_LINES && fgets(line, sizeof line, f); n++) {
            uint32_t k = 0;

            if (heard->n_half == PROBE_MAX_HALF || !probe_half_line(line, port, address))
                continue;
            while (k < heard->n_half && strcmp(heard->half[k], address) != 0)
                k++;
            if (k == heard->n_half)
                memcpy(heard->half[heard->n_half++], address, sizeof address);
        }
    }
}
